"""Risk inputs of the step: circuit breaker, forewarner rules, survival stack, postures. Pure: no I/O, no clock."""
