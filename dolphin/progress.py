"""How long work tells how far it is."""

from __future__ import annotations

from collections.abc import Callable

#: Called with (done, total, what is counted); total is 0 where nobody knows it.
Progress = Callable[[int, int, str], None]
