"""The freshness limits, by the name that the data specification's readers know them under."""

from dolphin.freshness import LIMITS, Freshness, Limit, fresh

__all__ = ["LIMITS", "Freshness", "Limit", "fresh"]
