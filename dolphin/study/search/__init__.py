"""A search from samplers to registered trials."""
