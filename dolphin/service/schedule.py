"""The jobs of a workspace: what is run when, from ``service.toml``."""

from __future__ import annotations

import re
import shlex
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dolphin.errors import BadInput, DolphinError, NotFound, nearest
from dolphin.times import DAY_NS, SECOND_NS, format_day, parse_duration

FILE = "service.toml"
#: How long after its time a missed run is still worth making up for, by default.
CATCH_UP = "20h"
KEYS = ("at", "every", "run", "catch_up", "timeout")
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
#: What a new workspace gets; the commands are examples to be completed.
DEFAULT = """\
# Jobs that 'dolphin service run-jobs' runs. Times are UTC. {today}, {yesterday}: dates; a run missed while the
# machine was off is made up for within catch_up.

[store]
url = "embedded"

[jobs.scan]                  # the scan of the day that ended
at = "00:02"
run = "scan DATASET"

[jobs.nightly_proof]         # did live do what research says?
at = "00:05"
run = "parity SESSION --against research"

[jobs.green]                 # the rival's day, beside blue
at = "00:10"
run = "backtest DATASET --config green.toml --from {yesterday} --to {today} --out runs/green_{yesterday}"

[jobs.forewarner]
every = "4h"
run = "forewarn status FORECASTER.json DATASET --config blue.toml --out forecasts --store embedded"
"""


@dataclass(frozen=True)
class Job:
    """One job.

    Attributes
    ----------
    name : str
    every_ns : int
        A day, or a length that divides it.
    at_ns : int
        After UTC midnight: the first run of a day.
    words : tuple of str
        Arguments of ``dolphin``.
    catch_up_ns : int
        How late a missed run is still made up for.
    timeout_s : float
    """

    name: str
    every_ns: int
    at_ns: int
    words: tuple[str, ...]
    catch_up_ns: int
    timeout_s: float

    def due(self, now_ns: int) -> int:
        """The newest time at or before ``now_ns`` at which it was to run."""
        return (now_ns - self.at_ns) // self.every_ns * self.every_ns + self.at_ns

    def arguments(self, due_ns: int) -> list[str]:
        """The arguments of the run of that time, dates filled in."""
        day = due_ns // DAY_NS
        dates = {"{today}": format_day(day), "{yesterday}": format_day(day - 1)}
        out = []
        for word in self.words:
            for name, date in dates.items():
                word = word.replace(name, date)
            out.append(word)
        return out


@dataclass(frozen=True)
class Plan:
    """What ``service.toml`` says."""

    jobs: tuple[Job, ...]
    store: str


def read_plan(path: Path) -> Plan:
    """Read ``service.toml``.

    Raises
    ------
    DolphinError
        If it is missing, unreadable, or says something that cannot be.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotFound("no such file", where=str(path), mend="'dolphin service install' writes one") from None
    except (OSError, ValueError) as error:
        raise DolphinError(f"not readable ({error})", where=str(path)) from None
    for key in table:
        if key not in ("jobs", "store"):
            raise BadInput(f"unknown table [{key}]", where=str(path), mend=nearest(key, ("jobs", "store")))
    jobs, store = table.get("jobs", {}), table.get("store", {})
    if not isinstance(jobs, dict) or not isinstance(store, dict):
        raise BadInput("[jobs.NAME] and [store] are tables", where=str(path))
    url = store.get("url", "embedded")
    if not isinstance(url, str):
        raise BadInput("the store's url is no text", where=str(path))
    return Plan(tuple(_job(name, what, f"{path} [jobs.{name}]") for name, what in jobs.items()), url)


def _job(name: str, what: Any, where: str) -> Job:
    if not isinstance(what, dict) or not all(isinstance(value, str) for value in what.values()):
        raise BadInput("a job is a table of texts", where=where)
    for key in what:
        if key not in KEYS:
            raise BadInput(f"unknown key '{key}'", where=where, mend=nearest(key, KEYS))
    if ("at" in what) == ("every" in what):
        raise BadInput("say either at = 'HH:MM' or every = '4h'", where=where)
    every, at = DAY_NS, 0
    try:
        if "every" in what:
            every = parse_duration(what["every"])
        catch_up = parse_duration(what.get("catch_up", CATCH_UP))
        timeout = parse_duration(what.get("timeout", "6h")) / SECOND_NS
        words = tuple(shlex.split(what.get("run", "")))
    except (DolphinError, ValueError) as error:
        raise BadInput(str(error), where=where) from None
    if every <= 0 or DAY_NS % every:
        raise BadInput(f"every = '{what['every']}' does not divide a day", where=where, mend="write 15m, 4h or 12h")
    if "at" in what:
        clock = _CLOCK.fullmatch(what["at"])
        if clock is None:
            raise BadInput(f"at = '{what['at']}' is no time of day", where=where, mend="write HH:MM, UTC")
        at = (int(clock[1]) * 60 + int(clock[2])) * 60 * SECOND_NS
    if not words:
        raise BadInput("nothing to run", where=where, mend='run = "scan DATASET"')
    return Job(name, every, at, words, catch_up, timeout)
