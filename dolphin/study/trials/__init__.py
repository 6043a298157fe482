"""Every trial that was ever run, and which of them is best."""
