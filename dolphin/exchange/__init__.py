"""A Binance USD-M futures exchange of one's own on 127.0.0.1: recorded prices, true wire formats, faults on request.

``FakeExchange`` serves REST, market streams and the user stream; ``Tape`` holds the recorded klines that it plays,
``SymbolRules`` what it says of a symbol. The room knows no other: what is tested against it cannot be bent to it.
"""

from __future__ import annotations

from dolphin.exchange.server import FakeExchange
from dolphin.exchange.symbols import SymbolRules
from dolphin.exchange.tape import Tape

__all__ = ["FakeExchange", "SymbolRules", "Tape"]
