"""Run configurations: read, checked, resolved, hashed."""
