"""Runs under disturbed fills, missed entries, resampled days."""
