"""Lengths of time in nanoseconds: what every clock of the package counts in."""

SECOND_NS = 1_000_000_000
DAY_NS = 86_400 * SECOND_NS
