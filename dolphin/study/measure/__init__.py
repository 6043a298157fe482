"""Configurations run and measured: alone, side by side, on a cluster."""
