"""Search spaces: dimensions, conditions, derived values."""
