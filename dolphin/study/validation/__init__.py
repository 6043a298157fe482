"""Out of sample: walk-forward, cross-validation, stitching."""
