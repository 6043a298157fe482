"""Values from outside, while they happen: external factors, order books, trades; recorded, watched, never halved.

What each module holds is in ``docs/feeds.md``.
"""
