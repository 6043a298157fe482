"""Sessions: a champion on a feed, its journal, state and limits, and the proof that it did what research does."""
