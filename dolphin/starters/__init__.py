"""Working files to begin with: a strategy, a feature, a study, a whole example."""

from dolphin.starters.files import KINDS, Started, start, start_example

__all__ = ["KINDS", "Started", "start", "start_example"]
