"""What a session tells others through the store, and what it reads there: never the only copy of anything."""
