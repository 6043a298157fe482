"""Whether green is better than blue: the bet on their daily differences, and what it says."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from dolphin.core.records import Floats, Ints
from dolphin.errors import DolphinError
from dolphin.gate.comparison.needed import HORIZON, days_needed
from dolphin.gate.comparison.sides import Side
from dolphin.gate.evidence.betting import ENOUGH, e_parts
from dolphin.times import format_day, return_day

#: Days from which the scale of a difference is told at least; they are not judged.
LEAST_SCALE = 20

GREEN, BLUE, NOT_YET = "green is better", "keep blue", "not yet"


@dataclass(frozen=True)
class Paired:
    """Returns of both on the days that both have, (D,) each."""

    days: Ints
    green: Floats
    blue: Floats

    @property
    def differences(self) -> Floats:
        """Green's less blue's."""
        return self.green - self.blue


def pair(green: Side, blue: Side) -> Paired:
    """The returns of two sides from one common day to the next.

    A day that one of them lacks is left out, and both returns span the gap. Before the first common day both must
    have stood at their own level for as long: a side that began within it gives that day no return.
    """
    days = np.intersect1d(green.days, blue.days)
    if not len(days):
        raise DolphinError("no common day", where=f"{green.name}, {blue.name}", mend="compare runs of the same days")
    levels = []
    for side in (green, blue):
        places = np.searchsorted(side.days, days)
        levels.append(np.concatenate([side.levels[places[:1]], side.levels[places + 1]]))
    returns = [_returns(level) for level in levels]
    began = [side.first_ts if side.days[0] == days[0] else None for side in (green, blue)]
    skip = int(began[0] != began[1])
    return Paired(days[skip:], returns[0][skip:], returns[1][skip:])


def _returns(levels: Floats) -> Floats:
    """(D,) from (D + 1,) levels; an account without equity stays where it is."""
    before, after = levels[:-1], levels[1:]
    alive = before > 0.0
    return np.where(alive, after / np.where(alive, before, 1.0) - 1.0, 0.0)


def compare(
    green: Side, blue: Side, *, since: int | None = None, backtest: tuple[Side, Side] | None = None
) -> dict[str, Any]:
    """Judge ``green`` against ``blue`` on the days from ``since`` on.

    Parameters
    ----------
    since : int, optional
        Number of the first UTC day that is judged; by default the one after what the searches and freezes of both
        have seen. Common days before it give the scale of a difference.
    backtest : (Side, Side), optional
        Earlier runs of the two, whose differences give the scale.

    Returns
    -------
    dict
        ``verdict`` (one of :data:`GREEN`, :data:`BLUE`, :data:`NOT_YET`), ``sentence``, the evidence day by day in
        ``path``, ``days_needed``, ``warnings``.

    Raises
    ------
    DolphinError
        Without a common day, or with too few to tell a scale.
    """
    both, warnings = pair(green, blue), []
    seen = max(green.seen, blue.seen)
    unseen = int(return_day(seen)) + 1 if seen else int(both.days[0]) if len(both.days) else 0
    start = unseen if since is None else since
    if start < unseen:
        count = int(np.sum((both.days >= start) & (both.days < unseen)))
        warnings.append(f"{count} of the judged days were seen by a search or freeze: what they show proves nothing")
    earlier = both.days < start
    history = both.differences[earlier]
    if backtest is not None:
        past = pair(*backtest)
        history = np.concatenate([past.differences[past.days < start], history[:0]])
    judged = np.flatnonzero(~earlier)
    short = min(max(0, LEAST_SCALE - len(history)), len(judged))
    if short:
        history, judged = np.concatenate([history, both.differences[judged[:short]]]), judged[short:]
        warnings.append(f"the first {short} days give the scale of a difference and are not judged")
    if len(judged) and not np.std(history) > 0.0 and not np.any(both.differences[judged]):
        warnings.append("the two never differ")
    return _document(green, blue, both, judged, history, warnings)


def _document(
    green: Side, blue: Side, both: Paired, judged: Ints, history: Floats, warnings: list[str]
) -> dict[str, Any]:
    found = both.differences[judged]
    parts, against = e_parts(found, history), e_parts(-found, -history)
    for_green, for_blue = parts.mean(axis=1), against.mean(axis=1)
    verdict, day = _verdict(for_green, for_blue)
    days = [format_day(int(number)) for number in both.days[judged]]
    deviation = float(found.std(ddof=1)) if len(found) > 1 else 0.0
    needed = days_needed(parts[-1] if len(parts) else None)
    document = {
        "verdict": verdict,
        "green": {"name": green.name, "kind": green.kind, **green.about},
        "blue": {"name": blue.name, "kind": blue.kind, **blue.about},
        "synthetic": bool(green.about.get("synthetic") or blue.about.get("synthetic")),
        "first_day": days[0] if days else None,
        "last_day": days[-1] if days else None,
        "days": len(days),
        "days_of_scale": len(history),
        "decided_on": days[day] if day is not None else None,
        "enough": ENOUGH,
        "for_green": float(for_green[-1]) if len(days) else 1.0,
        "for_blue": float(for_blue[-1]) if len(days) else 1.0,
        "mean_difference": float(found.mean()) if len(days) else None,
        "sharpe_of_difference": float(found.mean()) / deviation * math.sqrt(365.0) if deviation > 0.0 else None,
        "days_needed": needed,
        "days_needed_at_most": HORIZON,
        "warnings": warnings,
        "path": {
            "day": days,
            "green": both.green[judged].tolist(),
            "blue": both.blue[judged].tolist(),
            "for_green": for_green.tolist(),
            "for_blue": for_blue.tolist(),
        },
    }
    return document | {"sentence": _sentence(document)}


def _verdict(for_green: Floats, for_blue: Floats) -> tuple[str, int | None]:
    """What was reached first, and on which day; later days take nothing back."""
    first = [int(np.argmax(path >= ENOUGH)) if np.any(path >= ENOUGH) else None for path in (for_green, for_blue)]
    if first[0] is not None and (first[1] is None or first[0] < first[1]):
        return GREEN, first[0]
    return (BLUE, first[1]) if first[1] is not None else (NOT_YET, None)


def _sentence(document: dict[str, Any]) -> str:
    green, blue, days = document["green"]["name"], document["blue"]["name"], document["days"]
    if document["verdict"] == GREEN:
        return f"{green} is better than {blue}: evidence of {ENOUGH:g} was reached on {document['decided_on']}"
    if document["verdict"] == BLUE:
        return f"keep {blue}: evidence of {ENOUGH:g} that {green} is worse was reached on {document['decided_on']}"
    if not days:
        return f"not yet: there is no day to judge that neither {green} nor {blue} has seen"
    return (
        f"not yet: after {days} days the evidence for {green} is {document['for_green']:.3g}, for {blue} "
        f"{document['for_blue']:.3g}, and {ENOUGH:g} is needed; {blue} stays"
    )
