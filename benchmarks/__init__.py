"""Speed claims as ratios, each side by side with a named peer in one run."""
