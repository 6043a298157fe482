"""The small generated market of several rooms."""

from small_market import busy, dataset, home, market, pristine, write_study

__all__ = ["busy", "dataset", "home", "market", "pristine", "write_study"]
