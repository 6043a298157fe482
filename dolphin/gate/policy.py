"""The policy of ``promote/policy.toml``: what counts as evidence, and whether it asks for less than the package's."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dolphin.errors import DolphinError, nearest
from dolphin.files import sha256_bytes
from dolphin.gate.floors import DEFAULT as DEFAULT_FLOORS
from dolphin.gate.floors import Floor, Floors, Window, parse_floors
from dolphin.times import DAY_NS
from dolphin.workspace import Workspace

#: What ``dolphin init`` writes to a workspace's ``promote/policy.toml``.
DEFAULT = Path(__file__).with_name("policy.toml")

#: Keys by section: (kind, least, most, which way is weaker: +1 larger, -1 smaller, 0 neither).
_KEYS: dict[str, dict[str, tuple[type, float, float, int]]] = {
    "alpha": {"total": (float, 0.0, 1.0, +1)},
    "hard": {
        "guard": (float, 0.0, 1.0, +1),
        "search_shifts": (int, 1, 100_000, -1),
        "search_shift_days": (float, 0.0, 365.0, -1),
        "holdout_shifts": (int, 1, 100_000, -1),
        "holdout_shift_days": (float, 0.0, 365.0, -1),
        "least_trials": (int, 1, 10**9, +1),
        "least_holdout_days": (float, 1.0, 10_000.0, -1),
        "resamples": (int, 19, 1_000_000, -1),
        "block_days": (float, 1.0, 1_000.0, 0),
        "seed": (int, 0, 2**63 - 1, 0),
    },
    "advisory": {
        "psr": (float, 0.0, 1.0, 0),
        "dsr": (float, 0.0, 1.0, 0),
        "pbo": (float, 0.0, 1.0, 0),
        "pbo_blocks": (int, 2, 20, 0),
        "interval": (float, 0.01, 0.999, 0),
        "neighbours": (float, 0.0, 1.0, 0),
        "friction_bps": (float, 0.0, 1_000.0, 0),
        "least_trades": (int, 0, 10**9, 0),
        "parts": (int, 2, 100, 0),
    },
}


@dataclass(frozen=True)
class Policy:
    """A policy file: its numbers by section, its bytes and their hash, and whether it is the workspace's own."""

    values: dict[str, dict[str, Any]]
    own: bool
    data: bytes
    sha256: str

    @property
    def alpha(self) -> float:
        """The level of the first family that opens a holdout."""
        return float(self.values["alpha"]["total"])

    def hard(self, key: str) -> Any:
        """A number of ``[hard]``."""
        return self.values["hard"][key]

    def advisory(self, key: str) -> Any:
        """A number of ``[advisory]``."""
        return self.values["advisory"][key]


def read_policy(workspace: Workspace) -> Policy:
    """The workspace's policy; the package's where it has none.

    Raises
    ------
    DolphinError
        On a file that is not TOML, an unknown or missing key, a number out of its range.
    """
    own = workspace.promote / "policy.toml"
    path = own if own.is_file() else DEFAULT
    return _parse(path.read_bytes(), str(path), path == own)


def weaker(policy: Policy, floors: Floors) -> list[str]:
    """Where a policy or floors ask for less than the package's do: a line each, empty if nowhere."""
    shipped = _parse(DEFAULT.read_bytes(), str(DEFAULT), False)
    found = []
    for section, keys in _KEYS.items():
        for key, (_, _, _, way) in keys.items():
            mine, theirs = policy.values[section][key], shipped.values[section][key]
            if way and (mine - theirs) * way > 0:
                found.append(f"policy.toml: {key} is {mine:g}, the shipped policy has {theirs:g}")
    return found + list(_weaker_floors(floors))


def _weaker_floors(floors: Floors) -> Iterator[str]:
    shipped = parse_floors(DEFAULT_FLOORS.read_bytes(), str(DEFAULT_FLOORS), own=False)
    for tier, rows in shipped.tiers.items():
        for floor in rows:
            same = [f for f in floors.tiers[tier] if (f.metric, f.window.name) == (floor.metric, floor.window.name)]
            if not any(_as_strict(mine, floor) for mine in same):
                now = ", ".join(_bound(mine) for mine in same) or "none"
                yield f"floors.toml: '{floor.name}' ({tier}) asks for {now}, shipped is {_bound(floor)}"


def _as_strict(mine: Floor, floor: Floor) -> bool:
    if mine.or_champions_own and not floor.or_champions_own:
        return False
    if not _as_long(mine.window, floor.window) or mine.op[0] != floor.op[0]:
        return False
    if floor.tolerance is not None:
        return mine.tolerance is not None and mine.tolerance <= floor.tolerance
    ahead = mine.limit - floor.limit if floor.op[0] == ">" else floor.limit - mine.limit
    return ahead > 0.0 or (ahead == 0.0 and not (len(floor.op) == 1 and len(mine.op) == 2))


def _as_long(mine: Window, floor: Window) -> bool:
    """A window may be pinned to fixed dates of the same length; a rolling one may not be longer, which is milder."""
    if mine.rolling != floor.rolling:
        return False
    if mine.start is not None and mine.stop is not None and floor.days is not None:
        from dolphin.catalog import parse_time

        return parse_time(mine.stop) - parse_time(mine.start) >= floor.days * DAY_NS
    return mine.days == floor.days


def _bound(floor: Floor) -> str:
    days = f" over {floor.window.days} days" if floor.window.days else ""
    if floor.tolerance is not None:
        return f"the champion's within {floor.tolerance:g}{days}"
    return f"{floor.op} {floor.limit:g}{days}"


def _parse(data: bytes, where: str, own: bool) -> Policy:
    try:
        table = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DolphinError(f"not valid: {' '.join(str(error).split())}", where=where) from None
    for key in table:
        if key not in ("version", *_KEYS):
            raise DolphinError(f"unknown key '{key}'", where=where, mend=nearest(key, ("version", *_KEYS)))
    values: dict[str, dict[str, Any]] = {}
    for section, keys in _KEYS.items():
        given, place = table.get(section, {}), f"{where}: [{section}]"
        if not isinstance(given, dict):
            raise DolphinError("must be a table", where=place)
        for key in given:
            if key not in keys:
                raise DolphinError(f"unknown key '{key}'", where=place, mend=nearest(key, keys))
        values[section] = {key: _number(given, key, about, place) for key, about in keys.items()}
    if values["advisory"]["pbo_blocks"] % 2:
        raise DolphinError("pbo_blocks must be an even number", where=f"{where}: [advisory]")
    return Policy(values, own, data, sha256_bytes(data))


def _number(given: dict[str, Any], key: str, about: tuple[type, float, float, int], where: str) -> Any:
    kind, least, most, _ = about
    if key not in given:
        raise DolphinError(f"'{key}' is missing", where=where, mend="restore the file from git")
    value = given[key]
    fits = type(value) is int or (kind is float and type(value) is float and math.isfinite(value))
    if not fits or not least <= value <= most:
        what = "a whole number" if kind is int else "a number"
        raise DolphinError(f"{key} = {value!r} must be {what} from {least:g} to {most:g}", where=where)
    return kind(value)
