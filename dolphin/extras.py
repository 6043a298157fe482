"""Packages that not everybody needs, and what to install for each."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec

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
    return DolphinError(f"{package} is not installed, which this needs", mend=install(package))


def install(*packages: str) -> str:
    """What brings packages of extras."""
    return f"pip install 'dolphin-quant[{','.join(dict.fromkeys(EXTRAS[package] for package in packages))}]'"


def require(packages: Iterable[str], otherwise: str) -> None:
    """Raise, before any work, where packages are not installed: all of them in one line, and what goes without."""
    absent = [package for package in packages if not _installed(package)]
    if absent:
        verb = "is" if len(absent) == 1 else "are"
        what = f"{' and '.join(absent)} {verb} not installed, which this needs"
        raise DolphinError(what, mend=f"{install(*absent)}, or {otherwise}")


def _installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:
        return False
