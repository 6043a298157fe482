"""What is wrong with data, counted: rules, gaps, jumps, freshness."""
