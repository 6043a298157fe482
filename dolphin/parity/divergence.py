"""Where two runs first differ: the bar, the stage, the fields, and the likely cause (PARITY section 3).

Each digest carries all bars before it, so the first difference is found by bisection, which reads O(log n) of them.
Then both are decided again around that bar and looked into.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from dolphin.core.digest import STAGES
from dolphin.core.records import Words
from dolphin.errors import DolphinError
from dolphin.journal.reader import Journal, is_journal
from dolphin.parity.causes import LATER as LATER
from dolphin.parity.causes import Input, Later, cause_of, first_unequal_input, later_causes
from dolphin.parity.fields import Field as Field
from dolphin.parity.fields import assets_of, bits_of, read_fields, side_by_side
from dolphin.parity.journal_side import JournalSide
from dolphin.parity.sides import Around, Scene, Side, run_side
from dolphin.times import format_time as iso
from dolphin.workspace import Workspace

#: Bars before the first difference, and after it, that the report shows.
BEFORE, AFTER = 40, 40


@dataclass(frozen=True)
class Comparison:
    """The outcome of :func:`compare`; ``bar`` counts the shared bars from 0, None if all are equal.

    ``row`` is the bar's number in its dataset, ``later`` whether one cause explains what follows, ``around`` both
    sides' bars around it, ``synthetic`` whether a side's market was generated.
    """

    equal: bool
    sentence: str
    bars: int
    bar: int | None = None
    time: str | None = None
    stage: str | None = None
    cause: str | None = None
    fields: list[Field] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    row: int | None = None
    tolerance: float | None = None
    input: Input | None = None
    later: Later | None = None
    positions: tuple[str, str] | None = None
    sides: tuple[str, str] = ("A", "B")
    around: tuple[Around, Around] | None = None
    synthetic: bool = False

    def __repr__(self) -> str:
        return f"<parity: {self.sentence}>"

    def as_dict(self) -> dict[str, Any]:
        """For JSON; floats of the fields as their shortest text and their bits, so that none is lost."""
        plain = (
            "equal",
            "sentence",
            "bars",
            "bar",
            "time",
            "stage",
            "cause",
            "notes",
            "row",
            "tolerance",
            "positions",
            "sides",
            "synthetic",
        )
        document = {name: getattr(self, name) for name in plain}
        document["fields"] = [
            {
                "stage": f.stage, "name": f.name, "left": repr(f.left), "right": repr(f.right), "equal": f.equal,
                "left_bits": f.bits[0], "right_bits": f.bits[1],
            }
            for f in self.fields
        ]  # fmt: skip
        document["input"] = None
        if self.input is not None:
            one = self.input
            document["input"] = {
                "row": one.row, "time": iso(one.ts), "name": one.name, "left": repr(one.left), "right": repr(one.right),
                "left_bits": bits_of(one.left), "right_bits": bits_of(one.right),
            }  # fmt: skip
        document["later"] = asdict(self.later) if self.later is not None else None
        document["around"] = [_around_document(a) for a in self.around] if self.around is not None else None
        return document


def _around_document(around: Around) -> dict[str, Any]:
    return {
        "bars": around.bars.tolist(),
        "times": [iso(ts) for ts in around.ts.tolist()],
        "equity": around.equity.tolist(),
        "capital": around.capital.tolist(),
        "positions": around.positions.tolist(),
        "digests": [f"{int(word):016x}" for word in around.digests],
        "events": around.events,
    }


def open_side(path: Path, workspace: Workspace | None = None) -> Side:
    """The run folder or journal that a path names.

    Raises
    ------
    DolphinError
        If it is missing, incomplete or damaged.
    """
    path = Path(path)
    if path.is_file():
        if not is_journal(path):
            raise DolphinError("is neither a journal nor a run folder", where=str(path))
        return JournalSide(Journal(path), workspace.research if workspace is not None else None)
    return run_side(path, workspace)


def compare(
    left: Path | Side, right: Path | Side, workspace: Workspace | None = None, *, tolerance: float | None = None
) -> Comparison:
    """Compare two sides bar by bar.

    Parameters
    ----------
    left, right : Path or Side
        Run folders, journals, or what :mod:`dolphin.parity.named` runs now.
    workspace : Workspace, optional
        Where datasets and strategies are; without it, of a run folder only the bar is named.
    tolerance : float, optional
        For machines whose bits differ: equity and capital may differ by this much, relatively, while the position
        is the same. The sentence says so.
    """
    a = open_side(left, workspace) if isinstance(left, str | Path) else left
    b = open_side(right, workspace) if isinstance(right, str | Path) else right
    return replace(_compared(a, b, tolerance), synthetic=a.about.synthetic or b.about.synthetic)


def _compared(a: Side, b: Side, tolerance: float | None) -> Comparison:
    if not a.bars or not b.bars or max(a.ts_at(0), b.ts_at(0)) > min(a.ts_at(a.bars - 1), b.ts_at(b.bars - 1)):
        raise DolphinError("the two runs share no bar", where=f"{a.label}, {b.label}")
    first = a.ts_at(0), b.ts_at(0)
    names = a.label, b.label
    if first[0] != first[1]:
        # A chain carries its whole past: runs that began at different bars have no common digest.
        who = a.label if first[0] < first[1] else b.label
        sentence = f"the runs begin at different bars: {iso(first[0])} and {iso(first[1])}"
        notes = [f"{who} began earlier"]
        return Comparison(False, sentence, 0, 0, iso(max(first)), "data", "missing bar", notes=notes, sides=names)
    shared = min(a.bars, b.bars)
    bar = bisect(shared, lambda k: a.digest_at(k) == b.digest_at(k))
    if bar is not None and a.ts_at(bar) != b.ts_at(bar):
        return _other_bars(a, b, bar, min(a.ts_at(bar), b.ts_at(bar)))
    if bar is not None and tolerance is not None:
        beyond = _beyond(a, b, bar, shared, tolerance)
        if beyond is None:
            sentence = (
                f"all {shared:,} bars are equal within {tolerance:g}, not bit for bit: the first other bit is at "
                f"bar {bar:,}, {iso(a.ts_at(bar))}"
            )
            return Comparison(True, sentence, shared, notes=_context(a, b), tolerance=tolerance, sides=names)
        found = _explain(a, b, beyond, shared)
        note = f"within {tolerance:g} up to there; bits differ from bar {bar:,} on"
        return Comparison(**{**found.__dict__, "tolerance": tolerance, "notes": [note, *found.notes]})
    if bar is not None:
        return _explain(a, b, bar, shared)
    if a.bars != b.bars:
        return _other_bars(a, b, shared, (a if a.bars > b.bars else b).ts_at(shared))
    return Comparison(True, f"all {shared:,} bars are equal, bit for bit", shared, tolerance=tolerance, sides=names)


def _other_bars(a: Side, b: Side, bar: int, ts: int) -> Comparison:
    sentence = f"all {bar:,} shared bars are equal, then the bars themselves differ"
    later = Later("not known", "a bar that one side lacks: what follows has other numbers, and is not decided again")
    return Comparison(False, sentence, bar, bar, iso(ts), "data", "missing bar", later=later, sides=(a.label, b.label))


def bisect(count: int, equal: Callable[[int], bool]) -> int | None:
    """The first of ``count`` bars that is unequal, when all after an unequal one are; None if the last is equal."""
    if not count or equal(count - 1):
        return None
    low, high = 0, count - 1
    while low < high:
        middle = (low + high) // 2
        if equal(middle):
            low = middle + 1
        else:
            high = middle
    return low


def first_difference(a: Words, b: Words) -> int | None:
    """Index of the first unequal digest of two chains of one length, by bisection; None if equal."""
    return bisect(len(a), lambda k: bool(a[k] == b[k]))


def _beyond(a: Side, b: Side, bar: int, shared: int, tolerance: float) -> int | None:
    """The first bar whose equity, capital or position is another by more than the tolerance."""
    wrong = np.zeros(shared, bool)
    for k, (x, y) in enumerate(zip(a.curves(), b.curves(), strict=True)):
        x, y = x[:shared], y[:shared]
        wrong |= (np.abs(x - y) > tolerance * np.maximum(np.abs(x), np.abs(y))) if k < 2 else x != y
    wrong[:bar] = False
    return int(np.argmax(wrong)) if wrong.any() else None


def _explain(a: Side, b: Side, bar: int, bars: int) -> Comparison:
    when = iso(a.ts_at(bar))
    notes = _context(a, b)
    sentence = f"equal for {bar:,} bars; the first difference is bar {bar:,}, {when}"
    fields: list[Field] = []
    stage, unequal, later, positions, around, row = None, None, None, None, None, None
    scenes: tuple[Scene, Scene] | None = None
    try:
        scenes = a.scene(bar, BEFORE, AFTER, LATER), b.scene(bar, BEFORE, AFTER, LATER)
    except DolphinError as error:
        notes.append(f"the bar could not be decided again: {error}")
    if scenes is not None:
        one, two = scenes
        row, around = one.row, (one.around, two.around)
        known = assets_of(one.after) | assets_of(two.after)
        assets = {asset for asset in known if asset < min(len(one.symbols), len(two.symbols))}
        fields = side_by_side(*(read_fields(s.config, s.symbols, s.market, s.after, s.row, assets) for s in scenes))
        stage = _stage(one, two, fields)
        back = int(max(s.config.strategy.warmup_bars(s.config.params) for s in scenes))
        unequal = first_unequal_input(one, two, min(back, one.row))
        positions = _position(one), _position(two)
        if stage:
            names = ", ".join(f.name for f in fields if f.stage == stage and not f.equal)
            sentence += f", in stage '{stage}'" + (f": {names}" if names else "")
        elif all(f.equal for f in fields):
            notes.append("decided again here, both agree: one run was made by other code or other data")
        later = later_causes(a, b, bar, scenes, stage)
    cause = cause_of(a, b, stage, scenes, unequal)
    if unequal is not None:
        notes.append(
            f"first input that differs: {unequal.name} at bar {unequal.row:,}, {iso(unequal.ts)}: "
            f"{unequal.left!r} and {unequal.right!r}"
        )
    if cause:
        notes.append(f"likely cause: {cause}")
    if later is not None:
        notes.append(later.sentence)
    return Comparison(
        False, sentence, bars, bar, when, stage, cause, fields, notes, row=row, input=unequal, later=later,
        positions=positions, sides=(a.label, b.label), around=around,
    )  # fmt: skip


def _stage(one: Scene, two: Scene, fields: list[Field]) -> str | None:
    """The first stage that differs, by the stage words.

    The word of the data covers the assets that are held or traded: where the rows are equal and other assets are, the
    difference is what was decided, and not the data.
    """
    differing = {f.stage for f in fields if not f.equal}
    stages = [STAGES[k] for k in np.flatnonzero(one.words != two.words).tolist()] or [
        s for s in STAGES if s in differing
    ]
    if stages[:1] == ["data"] and len(stages) > 1 and one.row == two.row and "data" not in differing:
        return stages[1]
    return stages[0] if stages else None


def _position(scene: Scene) -> str:
    """What was held before the bar, in words."""
    held = []
    for slot in scene.before.slots:
        if slot["side"]:
            way, asset = ("long" if slot["side"] > 0 else "short"), scene.symbols[int(slot["asset"])]
            qty, price, since = float(slot["qty"]), float(slot["entry_price"]), int(slot["entry_bar"])
            held.append(f"{way} {qty!r} {asset} at {price!r} since bar {since:,}")
    return "; ".join(held) or "flat"


def _context(a: Side, b: Side) -> list[str]:
    """How what the two were made from differs."""
    notes = []
    for name, x, y in (
        ("config", a.about.config_hash, b.about.config_hash),
        ("dataset", a.about.dataset_digest, b.about.dataset_digest),
        ("engine", a.about.engine_digest, b.about.engine_digest),
    ):
        if x != y:
            notes.append(f"{name} digests differ: {x[:16]} and {y[:16]}")
    for section in ("params", "friction", "account"):
        ours, theirs = a.about.config.get(section, {}), b.about.config.get(section, {})
        for key in sorted(set(ours) | set(theirs)):
            if ours.get(key) != theirs.get(key):
                notes.append(f"{section}.{key}: {ours.get(key)!r} and {theirs.get(key)!r}")
    return notes
