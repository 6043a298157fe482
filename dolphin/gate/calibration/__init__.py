"""How often the gate errs: its evidence on markets that have no edge, and on markets where one was planted."""
