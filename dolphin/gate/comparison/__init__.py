"""Green against blue: paired daily differences, judged by a bet that may be looked at on any day."""
