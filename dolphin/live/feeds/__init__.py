"""Feeds of scans that another program makes: files in a folder, or values in a store."""
