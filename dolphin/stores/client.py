"""The Hazelcast client as this room uses it: settings, values in and out, and no pickles."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import hazelcast
from hazelcast.config import EvictionPolicy, InMemoryFormat, ReconnectMode

from dolphin.stores.names import FEATURE_MAPS, NEAR_CACHE
from dolphin.stores.values import Raw

#: Seconds. A frozen member is given up after ``heartbeat_timeout``; the client's defaults block for two minutes.
SETTINGS: dict[str, Any] = {
    "cluster_connect_timeout": float("inf"),
    "connection_timeout": 1.0,
    "invocation_timeout": 2.0,
    "heartbeat_interval": 1.0,
    "heartbeat_timeout": 4.0,
    "retry_initial_backoff": 0.1,
    "retry_max_backoff": 1.0,
}
#: What a pickle reads as.
REFUSED = object()


class Client:
    """Maps, topics and the count of members."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def map(self, name: str) -> Any:
        """The map of this name; its calls give futures."""
        return self._inner.get_map(name)

    def topic(self, name: str) -> Any:
        """The topic of this name."""
        return self._inner.get_topic(name)

    def nodes(self) -> int:
        """How many members the cluster has, as far as the client knows."""
        return len(self._inner.cluster_service.get_members())

    def connections(self) -> frozenset[int]:
        """Every connection to a member that is there now; one that was made again is another."""
        return frozenset(map(id, list(self._inner._connection_manager.active_connections.values())))

    def shutdown(self) -> None:
        """End it."""
        self._inner.shutdown()


def connect(members: list[str], cluster: str, on_state: Callable[[str], None]) -> Client:
    """A client that connects in the background, for ever."""
    logger = logging.getLogger("hazelcast")
    if logger.level == logging.NOTSET:  # health() says it; a line per attempt would fill a log overnight
        logger.setLevel(logging.CRITICAL)
    near = {
        **NEAR_CACHE,
        "eviction_policy": EvictionPolicy.LRU,
        "in_memory_format": InMemoryFormat.OBJECT,
    }
    inner = hazelcast.HazelcastClient(
        cluster_name=cluster,
        cluster_members=members,
        async_start=True,
        reconnect_mode=ReconnectMode.ASYNC,
        near_caches={name: dict(near) for name in FEATURE_MAPS},
        lifecycle_listeners=[on_state],
        **SETTINGS,
    )
    _refuse_pickles(inner)
    return Client(inner)


def _refuse_pickles(inner: Any) -> None:
    """A pickle runs what its writer wants, and the client would read one from any map: it reads as nothing known."""

    def refuse(_: Any) -> Any:
        return REFUSED

    inner._serialization_service._python_serializer.read = refuse


def as_sent(raw: Raw) -> str | bytearray:
    """A value as the client sends it: bytes alone would be pickled."""
    return bytearray(raw) if isinstance(raw, bytes) else raw


def received(value: Any) -> Raw | None:
    """A value that the client gave, as it lies in a store; None for none, or what is neither text nor bytes."""
    if isinstance(value, str):
        return value
    return bytes(value) if isinstance(value, bytes | bytearray) else None
