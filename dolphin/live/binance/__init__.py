"""Live trading on Binance USDT futures, through Nautilus' own adapters: it is the transport, our journal the truth.

``assembler`` makes rows of bars, ``feed`` gives them to a session, ``trader`` carries its orders, ``outcomes`` and
``asking`` find out what became of them, ``reconcile`` compares books; ``hooks`` holds all that is private to the
adapters, so that another version of them changes one module.
"""

from __future__ import annotations
