"""Public kline archives onto this disk: whole months where they exist, else days, else REST."""

from dolphin.catalog.pull.puller import PullReport, pull

__all__ = ["PullReport", "pull"]
