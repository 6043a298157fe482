"""From a store's URL to the store."""

from __future__ import annotations

import re
from pathlib import Path

from dolphin import workspace
from dolphin.errors import BadInput, DolphinError
from dolphin.stores.protocol import Store

FORMS = "embedded, embedded:FOLDER or hazelcast://host:port/cluster"
_MEMBERS = re.compile(r"hazelcast://([^/]+)/([A-Za-z0-9_.-]+)/?")
_MEMBER = re.compile(r"[A-Za-z0-9_.-]+:\d{1,5}|\[[0-9A-Fa-f:]+\]:\d{1,5}")


def open_store(url: str = "embedded", *, wait: float = 2.0) -> Store:
    """The store of a URL.

    Parameters
    ----------
    url : str
        ``embedded`` (a file in the workspace's ``runs/store``), ``embedded:FOLDER``, or
        ``hazelcast://host:port[,host:port]/cluster``.
    wait : float
        Seconds to wait for a cluster's first answer; without one the store goes on trying, and its health says so.

    Raises
    ------
    DolphinError
        On another URL, without the client that it needs, or where an embedded store cannot be opened.
    """
    if (folder := embedded_folder(url)) is not None:
        from dolphin.stores.embedded import Embedded

        return Embedded(folder)
    members, cluster = parse_cluster(url)
    try:
        from dolphin.stores.cluster import Cluster
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "hazelcast":
            raise
        mend = "pip install 'dolphin-quant[hazelcast]'"
        raise DolphinError("needs the Hazelcast client", where=url, mend=mend) from None
    store = Cluster(members, cluster)
    store.wait_synced(wait)
    return store


def embedded_folder(url: str) -> Path | None:
    """Where the embedded store of a URL lies; None for another."""
    if url != "embedded" and not url.startswith("embedded:"):
        return None
    folder = url.partition(":")[2]
    return Path(folder) if folder else workspace.find().root / "runs" / "store"


def parse_cluster(url: str) -> tuple[list[str], str]:
    """Members (``host:port``) and cluster name of a ``hazelcast://`` URL.

    Raises
    ------
    DolphinError
        If it is none.
    """
    match = _MEMBERS.fullmatch(url)
    members = match[1].split(",") if match else []
    if match is None or not all(_MEMBER.fullmatch(one) and int(one.rpartition(":")[2]) < 65536 for one in members):
        raise BadInput(f"'{url}' is no store", where="--store", mend=f"write {FORMS}")
    return members, match[2]
