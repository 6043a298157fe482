"""Sessions: a frozen champion on a feed, its journal, its state, its limits, and the proof that it did what research does."""
