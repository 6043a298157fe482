"""Packages that not everybody needs, and what to install for each."""

from __future__ import annotations

from dolphin.errors import DolphinError

#: Import name of a package, and the extra of this one that brings it.
EXTRAS = {
    "nautilus_trader": "nautilus",
    "vectorbt": "vectorbt",
    "dask": "cluster",
    "distributed": "cluster",
    "flint": "certify",
    "sklearn": "forewarn",
    "msgspec": "feeds",
    "aiohttp": "ui",
    "apscheduler": "service",
    "prometheus_client": "service",
    "hazelcast": "hazelcast",
    "fastexcel": "excel",
}


def missing(error: ModuleNotFoundError) -> DolphinError | None:
    """What to tell a user whose installation lacks an extra; None if the module is none of an extra."""
    package = (error.name or "").partition(".")[0]
    if package not in EXTRAS:
        return None
    return DolphinError(
        f"{package} is not installed, which this needs", mend=f"pip install 'dolphin-quant[{EXTRAS[package]}]'"
    )
