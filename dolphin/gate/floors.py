"""The floors of ``promote/floors.toml``: read, checked, and judged exactly as strict as written."""

from __future__ import annotations

import math
import operator
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dolphin.errors import DolphinError, nearest
from dolphin.files import sha256_bytes
from dolphin.workspace import Workspace

#: What ``dolphin init`` writes to a workspace's ``promote/floors.toml``.
DEFAULT = Path(__file__).with_name("floors.toml")

OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
}
METRICS = ("trades", "profit_factor", "win_rate", "roi", "max_drawdown", "sharpe_365", "sharpe_252")
#: Those of them that are shares of one; people read them in per cent.
SHARES = ("win_rate", "roi", "max_drawdown")
TIERS = ("tier1", "tier2", "champion", "green")


@dataclass(frozen=True)
class Window:
    """A part of the gate window: its last ``days``, fixed dates, or (neither) all of it."""

    name: str
    days: int | None = None
    rolling: bool = False
    start: str | None = None
    stop: str | None = None


@dataclass(frozen=True)
class Floor:
    """One floor. Those of the tier ``champion`` have a tolerance where others have a limit."""

    name: str
    metric: str
    window: Window
    op: str
    limit: float
    tolerance: float | None = None
    or_champions_own: bool = False


@dataclass(frozen=True)
class Floors:
    """A floors file: the floors by tier, whether it is the workspace's own, and what it says.

    ``default`` tells whether it says what the package's does.
    """

    tiers: dict[str, tuple[Floor, ...]]
    own: bool
    data: bytes
    sha256: str
    default: bool

    def enough_trades(self, tier: str, window: Window) -> float:
        """The tier's own floor on trades in this window; 1 if it has none."""
        limits = [f.limit for f in self.tiers[tier] if f.metric == "trades" and f.window == window]
        return max(limits, default=1.0)


def read_floors(workspace: Workspace) -> Floors:
    """The workspace's floors; those that come with the package where it has none.

    Raises
    ------
    DolphinError
        On a file that is not TOML, and on every key, metric, window or operator that is not known.
    """
    own = workspace.promote / "floors.toml"
    path = own if own.is_file() else DEFAULT
    return parse_floors(path.read_bytes(), str(path), own=path == own)


def parse_floors(data: bytes, where: str, *, own: bool) -> Floors:
    """The bytes of a floors file (see :func:`read_floors`)."""
    try:
        table = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DolphinError(f"not valid: {' '.join(str(error).split())}", where=where) from None
    _known(table, ("version", "windows", *TIERS), where)
    windows = {name: _window(name, values, where) for name, values in table.get("windows", {}).items()}
    tiers = {tier: tuple(_floor(row, tier, windows, where) for row in table.get(tier, ())) for tier in TIERS}
    if not tiers["tier1"]:
        raise DolphinError("holds no [[tier1]] floor", where=where, mend="restore it from git")
    return Floors(tiers, own, data, sha256_bytes(data), data == DEFAULT.read_bytes())


def judge(floor: Floor, value: float, trades: int, enough: float = 1.0) -> tuple[bool, str]:
    """Whether ``value`` holds against the floor, and why not (or why, where that needs saying).

    Parameters
    ----------
    value : float
        The metric over the floor's window.
    trades : int
        Closed trades in that window.
    enough : float
        Trades from which an infinite profit factor counts.
    """
    if trades <= 0:
        return False, "no trades in the window"
    if math.isnan(value):
        return False, "not a number"
    if math.isinf(value) and floor.metric == "profit_factor":
        if trades < enough:
            return False, f"infinite, but on {trades} trades only ({enough:g} needed)"
        return True, f"no losing trade among {trades}"
    if OPERATORS[floor.op](value, floor.limit):
        return True, ""
    if value == floor.limit:
        return False, "equal to the limit, and the floor is strict"
    distance = abs(value - floor.limit)
    return (
        False,
        f"missed by {100.0 * distance:.3g} points" if floor.metric in SHARES else f"missed by {distance:.3g}",
    )


def _window(name: str, values: Any, where: str) -> Window:
    where = f"{where}: [windows.{name}]"
    if not isinstance(values, dict):
        raise DolphinError("must be a table", where=where)
    _known(values, ("days", "rolling", "from", "to"), where)
    days = values.get("days")
    if days is not None and (type(days) is not int or days < 1):
        raise DolphinError(f"days = {days!r} must be a whole number from 1", where=where)
    if ("from" in values) != ("to" in values):
        raise DolphinError("'from' and 'to' go together", where=where, mend="give both or none")
    if values.get("rolling") and days is None:
        raise DolphinError("a rolling window needs days", where=where)
    start, stop = (str(values[key]) if key in values else None for key in ("from", "to"))
    return Window(name, days, bool(values.get("rolling", False)), start, stop)


def _floor(row: Any, tier: str, windows: dict[str, Window], where: str) -> Floor:
    where = f"{where}: [[{tier}]]"
    bound = "tolerance" if tier == "champion" else "limit"
    needed = ("name", "metric", "window", "op", bound)
    if not isinstance(row, dict):
        raise DolphinError("must be a table", where=where)
    _known(row, (*needed, "or_champions_own"), where)
    for key in needed:
        if key not in row:
            raise DolphinError(f"'{key}' is missing", where=where)
    choices: dict[str, Any] = {"metric": METRICS, "window": windows, "op": OPERATORS}
    for key, known in choices.items():
        if row[key] not in known:
            raise DolphinError(f"unknown {key} '{row[key]}'", where=where, mend=nearest(str(row[key]), known))
    number = row[bound]
    if type(number) not in (int, float) or not math.isfinite(number):
        raise DolphinError(f"{bound} = {number!r} must be a number", where=where)
    window = windows[row["window"]]
    if window.rolling and row["metric"] != "roi":
        raise DolphinError(f"a rolling window has an ROI, no {row['metric']}", where=where)
    return Floor(
        name=str(row["name"]),
        metric=row["metric"],
        window=window,
        op=row["op"],
        limit=math.nan if tier == "champion" else float(number),
        tolerance=float(number) if tier == "champion" else None,
        or_champions_own=bool(row.get("or_champions_own", False)),
    )


def _known(table: dict[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in known:
            raise DolphinError(f"unknown key '{key}'", where=where, mend=nearest(key, known))
