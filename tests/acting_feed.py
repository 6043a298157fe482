"""A feed during which something happens."""

from __future__ import annotations


class ActingFeed:
    """A feed that calls ``acts[bar]`` before it gives that row."""

    def __init__(self, feed, acts):
        self._feed, self._acts = feed, acts

    def __getattr__(self, name):
        return getattr(self._feed, name)

    async def rows(self, after):
        async for row in self._feed.rows(after):
            if row.bar in self._acts:
                self._acts[row.bar]()
            yield row
