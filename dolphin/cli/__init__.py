"""The ``dolphin`` command: one small module per verb, no logic."""

from dolphin.cli.app import main

__all__ = ["main"]
