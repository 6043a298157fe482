"""Where two runs first differ: the bar, the stage, the fields, and the likely cause (PARITY section 3).

Each digest carries all bars before it, so the first difference is found by bisection. Then both
runs are decided again up to that bar, from the data and configs that they name, and looked into.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from dolphin.catalog import open_dataset
from dolphin.config import Config, parse_config
from dolphin.core.digest import STAGES
from dolphin.core.records import CLOSE, NONE, OPEN, Ints, Market, State, Words
from dolphin.errors import DolphinError
from dolphin.files import read_json
from dolphin.manifests import check_manifest
from dolphin.market.assemble import open_market
from dolphin.times import format_time as iso
from dolphin.workspace import Workspace

_ACTIONS = {NONE: "none", OPEN: "open", CLOSE: "close"}


@dataclass(frozen=True)
class Recorded:
    """What a run folder holds for a comparison."""

    folder: Path
    run: dict[str, Any]
    config: dict[str, Any]
    config_hash: str
    ts: Ints
    digests: Words


@dataclass(frozen=True)
class Field:
    """One value of one stage at the first bar that differs."""

    stage: str
    name: str
    left: Any
    right: Any

    @property
    def equal(self) -> bool:
        """Bit for bit, not-a-number included."""
        return bool(self.left == self.right or (self.left != self.left and self.right != self.right))


@dataclass(frozen=True)
class Comparison:
    """The outcome of :func:`compare`; ``bar`` is a row of the shared bars, None if all are equal."""

    equal: bool
    sentence: str
    bars: int
    bar: int | None = None
    time: str | None = None
    stage: str | None = None
    cause: str | None = None
    fields: list[Field] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For JSON; floats of the fields as their shortest text, so that no bit is lost."""
        document = asdict(self)
        for entry, found in zip(document["fields"], self.fields, strict=True):
            entry["left"], entry["right"] = repr(found.left), repr(found.right)
            entry["equal"] = found.equal
        return document


def read_recorded(folder: Path) -> Recorded:
    """The parts of a run folder that a comparison needs.

    Raises
    ------
    DolphinError
        If the folder is missing, incomplete or damaged.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DolphinError("no such run folder", where=str(folder), mend="give a folder that --out wrote")
    check_manifest(folder)
    run, config = read_json(folder / "run.json"), read_json(folder / "config.json")
    try:
        frame = pl.read_parquet(folder / "digests.parquet")
        ts, digests = frame["ts"].to_numpy(), frame["digest"].to_numpy()
        names = (run["dataset"]["name"], run["dataset"]["digest"], run["engine_digest"], config["hash"])
        if not isinstance(config["config"], dict) or not all(isinstance(name, str) for name in names):
            raise TypeError("not what a run writes")
        return Recorded(folder, run, config["config"], config["hash"], ts, digests)
    except (OSError, KeyError, TypeError, pl.exceptions.PolarsError) as error:
        reason = " ".join(str(error).split())
        raise DolphinError(f"incomplete or damaged ({reason})", where=str(folder)) from error


def compare(left: Path, right: Path, workspace: Workspace | None = None) -> Comparison:
    """Compare two run folders bar by bar.

    Parameters
    ----------
    left, right : Path
        Run folders.
    workspace : Workspace, optional
        Where the datasets are; without it, only the bar is named.
    """
    a, b = read_recorded(left), read_recorded(right)
    first = max(a.ts[0], b.ts[0]) if len(a.ts) and len(b.ts) else 0
    if not len(a.ts) or not len(b.ts) or first > min(a.ts[-1], b.ts[-1]):
        raise DolphinError("the two runs share no bar", where=f"{left}, {right}")
    if a.ts[0] != b.ts[0]:
        # A chain carries its whole past: runs that began at different bars have no common digest.
        who = left if a.ts[0] < b.ts[0] else right
        sentence = f"the runs begin at different bars: {iso(a.ts[0])} and {iso(b.ts[0])}"
        return Comparison(False, sentence, 0, 0, iso(first), "data", "missing bar", notes=[f"{who} began earlier"])
    shared = min(len(a.ts), len(b.ts))
    unequal_times = np.flatnonzero(a.ts[:shared] != b.ts[:shared])
    if len(unequal_times):
        shared = int(unequal_times[0])
    bar = first_difference(a.digests[:shared], b.digests[:shared])
    if bar is not None:
        return _explain(a, b, bar, shared, workspace)
    if len(unequal_times) or len(a.ts) != len(b.ts):
        longer = a if len(a.ts) > len(b.ts) else b
        sentence = f"all {shared:,} shared bars are equal, then the bars themselves differ"
        when = iso(longer.ts[shared])
        return Comparison(False, sentence, shared, shared, when, "data", "missing bar")
    return Comparison(True, f"all {shared:,} bars are equal, bit for bit", shared)


def first_difference(a: Words, b: Words) -> int | None:
    """Index of the first unequal digest of two chains of one length, by bisection; None if equal."""
    if not len(a) or a[-1] == b[-1]:
        return None
    low, high = 0, len(a) - 1
    while low < high:
        middle = (low + high) // 2
        if a[middle] == b[middle]:
            low = middle + 1
        else:
            high = middle
    return low


def _explain(a: Recorded, b: Recorded, bar: int, bars: int, workspace: Workspace | None) -> Comparison:
    when = iso(a.ts[bar])
    notes = _context(a, b)
    sentence = f"equal for {bar:,} bars; the first difference is bar {bar:,}, {when}"
    fields: list[Field] = []
    stage = None
    if workspace is not None:
        try:
            fields = _fields(_redecide(a, bar, workspace), _redecide(b, bar, workspace))
        except DolphinError as error:
            notes.append(f"the bar could not be decided again: {error}")
        differing = {f.stage for f in fields if not f.equal}
        stage = next((name for name in STAGES if name in differing), None)
        if stage:
            names = ", ".join(f.name for f in fields if f.stage == stage and not f.equal)
            sentence += f", in stage '{stage}': {names}"
        elif fields:
            notes.append("decided again here, both agree: one run was made by other code or other data")
    cause = _cause(a, b, stage)
    if cause:
        notes.append(f"likely cause: {cause}")
    return Comparison(False, sentence, bars, bar, when, stage, cause, fields, notes)


def _context(a: Recorded, b: Recorded) -> list[str]:
    notes = []
    for name, x, y in (
        ("config", a.config_hash, b.config_hash),
        ("dataset", a.run["dataset"]["digest"], b.run["dataset"]["digest"]),
        ("engine", a.run["engine_digest"], b.run["engine_digest"]),
    ):
        if x != y:
            notes.append(f"{name} digests differ: {x[:16]} and {y[:16]}")
    for section in ("params", "friction", "account"):
        x, y = a.config.get(section, {}), b.config.get(section, {})
        for key in sorted(set(x) | set(y)):
            if x.get(key) != y.get(key):
                notes.append(f"{section}.{key}: {x.get(key)!r} and {y.get(key)!r}")
    return notes


def _cause(a: Recorded, b: Recorded, stage: str | None) -> str | None:
    if a.config_hash != b.config_hash:
        return "different config"
    if stage in ("data", "features", "risk") or a.run["dataset"]["digest"] != b.run["dataset"]["digest"]:
        return "different input"
    if a.run["engine_digest"] != b.run["engine_digest"]:
        return "different engine code"
    return "different fill" if stage == "fill" else None


def _redecide(recorded: Recorded, bar: int, workspace: Workspace) -> dict[tuple[str, str], Any]:
    """Run up to and including ``bar`` and read every field of every stage there."""
    dataset = open_dataset(workspace, recorded.run["dataset"]["name"])
    if dataset.digest != recorded.run["dataset"]["digest"]:
        raise DolphinError(f"dataset '{dataset.name}' is another version now", where=str(recorded.folder))
    config = parse_config(
        {key: value for key, value in recorded.config.items() if value is not None},
        where=str(recorded.folder / "config.json"),
        research=workspace.research,
    )
    market = open_market(dataset, config)
    engine = config.engine
    state = engine.new_state(market.price.shape[1], config.account.initial_capital)
    params, friction = config.params_record(), config.friction_record()
    start = int(np.searchsorted(market.ts, recorded.ts[0]))
    row = start + bar
    if row > start:
        engine.run(state, params, friction, market, start, row)
    engine.run_per_bar(state, params, friction, market, row, row + 1)
    return read_fields(config, dataset.symbols, market, state, row)


def read_fields(
    config: Config, symbols: tuple[str, ...], market: Market, state: State, i: int
) -> dict[tuple[str, str], Any]:
    """Every value that bar ``i`` folds into its digest, by (stage, name), after that bar."""
    found: dict[tuple[str, str], Any] = {("data", "time"): iso(market.ts[i])}
    for s in range(len(state.slots)):
        slot, fill, intent = state.slots[s], state.fills[s], state.intents[s]
        label = f"slot {s} " if len(state.slots) > 1 else ""
        if slot["side"] or fill["action"]:
            asset = int(slot["asset"] if slot["side"] else fill["asset"])
            found["data", f"{label}price of {symbols[asset]}"] = float(market.price[i, asset])
        for stage, order in (("intent", intent), ("fill", fill)):
            found[stage, f"{label}action"] = _ACTIONS[int(order["action"])]
            if order["action"]:
                found[stage, f"{label}asset"] = symbols[int(order["asset"])]
                found[stage, f"{label}side"] = int(order["side"])
                found[stage, f"{label}reason"] = config.strategy.reasons[int(order["reason"])]
                for name in ("qty", "leverage", *(("price", "fee") if stage == "fill" else ())):
                    found[stage, f"{label}{name}"] = float(order[name])
        found["state", f"{label}side"] = int(slot["side"])
        if len(state.slots) > 1:
            found["state", f"{label}realised"] = float(slot["realised"])
        if slot["side"]:
            found["state", f"{label}asset"] = symbols[int(slot["asset"])]
            for name in ("qty", "entry_price", "entry_bar", "leverage"):
                found["state", f"{label}{name}"] = slot[name].item()
    for f, name in enumerate(config.strategy.columns):
        found["features", name] = float(market.features[i, f])
    for name in ("boost", "beta", "rm", "posture"):
        found["risk", name] = market.risk[i][name].item()
    for name in ("capital", "equity", "peak_equity", "trades"):
        found["state", name] = state.account[0][name].item()
    for m in range(config.strategy.memory_of(market.price.shape[1])):
        found["state", f"memory {m}"] = float(state.memory[m])
    return found


def _fields(a: dict[tuple[str, str], Any], b: dict[tuple[str, str], Any]) -> list[Field]:
    keys = sorted(dict.fromkeys([*a, *b]), key=lambda key: STAGES.index(key[0]))
    return [Field(*key, a.get(key), b.get(key)) for key in keys]
