"""Shared state: what other processes should see, and what they say. Never the only copy of anything.

One protocol (:class:`~dolphin.stores.protocol.Store`), two backends, one suite that both pass
(:mod:`dolphin.stores.conformance`):

- ``embedded`` or ``embedded:FOLDER``: in process, durable through a ledger file;
- ``hazelcast://host:port[,host:port]/cluster``: a cluster of Hazelcast members.

No call waits for a disk or a network: values are read from a local view, and what is written is handed to a thread.
"""

from __future__ import annotations

from dolphin.stores.lease import Lease
from dolphin.stores.opening import open_store
from dolphin.stores.outcome import Outcome
from dolphin.stores.protocol import Health, Reading, Store

__all__ = ["Health", "Lease", "Outcome", "Reading", "Store", "open_store"]
