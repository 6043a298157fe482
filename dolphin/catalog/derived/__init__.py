"""What is made of a dataset: scans, bars of ticks."""
