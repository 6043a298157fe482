"""From a dataset to what the engine reads: scanning, features, the market."""
