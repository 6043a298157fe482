"""Immutable dataset versions on disk, their identity, their cache."""
