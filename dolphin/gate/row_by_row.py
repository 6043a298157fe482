"""Every decision again by a process that has not seen what comes after it; the books of it kept here.

:mod:`dolphin.gate.decider` gets the rows of prices, features and risk one by one, and answers with intents. Orders,
fills, accounts and figures follow from these intents and the prices that are read here, in the plain Python of
:mod:`dolphin.parity.slow`. An engine that was replaced in a strategy's process and knows the future there does not
know it here, and what it reported is not what comes out.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from dolphin.catalog import Dataset
from dolphin.config.config import MarketTables, RiskInputs
from dolphin.core.records import ORDER, TRADE, Floats, Market, Records
from dolphin.files import write_json
from dolphin.gate.recount import figures
from dolphin.gate.report import Check
from dolphin.market.assemble import bare_market, feature_columns, instrument_records, market_column, scanner_column
from dolphin.market.risk_table import risk_columns
from dolphin.parity.fresh_process import own_environment
from dolphin.parity.slow.engine import Case, SlowEngine
from dolphin.parity.slow.fills import Friction
from dolphin.progress import Progress
from dolphin.study.measure.run import days_of
from dolphin.times import format_time

NAME = "decided row by row"

#: Fields of an intent that a strategy may write.
WISHED = ("action", "asset", "side", "reason", "qty", "leverage", "kind", "limit", "trigger", "expires", "post_only",
          "reduce_only")  # fmt: skip
_WISH = np.dtype([("slot", "i8"), ("order", ORDER)])

Span = tuple[int, int]


class Differs(Exception):
    """What came out is not what was told; the message says where."""


def row_by_row(
    dataset: Dataset,
    research: Path,
    config: dict[str, Any],
    engine_digest: str,
    told: dict[Span, tuple[Records, Floats]],
    held: Span | None,
    value: tuple[str, float] | None,
    progress: Progress | None = None,
) -> tuple[Check, SlowEngine | None]:
    """Decide all judged spans again without the rows that come later; with the holdout's books where all agrees.

    Parameters
    ----------
    config : dict
        The configuration's document.
    told : dict
        Trades and equity that were reported, by span of rows.
    held, value : optional
        The holdout's rows, and the objective with the figure that was reported of it.
    """
    spans = list(dict.fromkeys([*told, *([held] if held is not None else [])]))
    try:
        with (
            tempfile.TemporaryDirectory(prefix="dolphin-rows-") as name,
            _strategy(Path(name), dataset, research, config, spans) as process,
        ):
            books = _Books(dataset, config, process, spans)
            if books.declared["engine_digest"] != engine_digest:
                raise Differs("its sources give another engine than the one that was judged")
            books.walk(progress)
    except Differs as error:
        return Check(NAME, False, str(error)), None
    except (LookupError, TypeError, ValueError, ArithmeticError) as error:
        words = f"what the process that decides said means nothing: {type(error).__name__}: {error}"
        return Check(NAME, False, words), None
    ts = dataset.grid()
    for span, (trades, equity) in told.items():
        if problem := _unlike(ts, span, books.engines[span], trades, equity):
            return Check(NAME, False, problem), None
    if held is not None and value is not None:
        engine = books.engines[held]
        capital = float(config["account"]["initial_capital"])
        found = figures(ts[slice(*held)], trades_of(engine), np.array(engine.run.equity), capital).get(value[0])
        if found is not None and not _near(found, value[1]):
            words = f"on the holdout {value[0]} is {found:.6g}, and was told as {value[1]:.6g}"
            return Check(NAME, False, words), None
    count, bars = sum(len(e.run.trades) for e in books.engines.values()), sum(stop - start for start, stop in spans)
    words = f"{bars} bars of {len(spans)} windows, no later row at hand: the same {count} trades"
    if not books.declared["confined"]:
        words += "; this system lets compiled code open files while it is imported"
    return Check(NAME, True, words), books.engines[held] if held is not None else None


class _Books:
    """The slow books of every span, fed by one process that decides."""

    def __init__(
        self, dataset: Dataset, config: dict[str, Any], process: subprocess.Popen[bytes], spans: list[Span]
    ) -> None:
        assert process.stdin is not None and process.stdout is not None
        self._to, self._from, self._process = process.stdin, process.stdout, process
        self._spans, self._dataset = spans, dataset
        self.declared = self._hello()
        self._market = _market(dataset, config, self.declared)
        self.engines = {span: SlowEngine(self._case(config)) for span in spans}

    def walk(self, progress: Progress | None) -> None:
        """Every row from the first of any span on: shown, decided, booked."""
        first, last = min(start for start, _ in self._spans), max(stop for _, stop in self._spans)
        arrays = list(self._market.by_row().values())
        try:
            self._send(arrays, 0, first)
            for i in range(first, last):
                self._send(arrays, i, i + 1)
                self._to.flush()
                for span in self._spans:
                    if span[0] <= i < span[1]:
                        self.engines[span].step(i)
                if progress and i % 2000 == 0:
                    progress(i - first, last - first, "gate: decided row by row")
            self._to.close()
        except (BrokenPipeError, EOFError):
            raise Differs(self._last_words()) from None

    def _send(self, arrays: list[Any], low: int, high: int) -> None:
        for values in arrays:
            self._to.write(np.ascontiguousarray(values[low:high]).tobytes())

    def _hello(self) -> dict[str, Any]:
        line = self._from.readline()
        try:
            said: dict[str, Any] = json.loads(line)
        except ValueError:
            raise Differs(self._last_words()) from None
        return said

    def _decide(self, state: Any, params: Any, market: Any, i: int) -> None:
        """What the slow engine takes for the strategy: the other process's intents of this bar."""
        count = int(np.frombuffer(self._read(8), np.int64)[0])
        if not 0 <= count <= len(state.intents):
            raise Differs(f"bar {i}: {count} intents")
        for wish in np.frombuffer(self._read(count * _WISH.itemsize), _WISH):
            intent = state.intents[int(wish["slot"])]
            for name in WISHED:
                setattr(intent, name, wish["order"][name].item())

    def _read(self, count: int) -> bytes:
        found = self._from.read(count)
        if len(found) != count:
            raise EOFError
        return found

    def _last_words(self) -> str:
        self._process.wait()
        lines = _said(self._process).strip().splitlines()
        return f"the process that decides failed: {lines[-1] if lines else f'exit {self._process.returncode}'}"

    def _case(self, config: dict[str, Any]) -> Case:
        said, friction, account = self.declared, config["friction"], config["account"]
        charged = Friction(
            slippage_bps=friction["slippage_bps"], fee_bps=friction["fee_bps"], maker_fee_bps=friction["maker_fee_bps"],
            fill_model=friction["fill_model"], volume_share=friction["volume_share"],
            timing=friction["fill_timing"], maintenance=account["cross_maintenance"],
        )  # fmt: skip
        # Where postures are obeyed, the intents are what the engine made of them: some are limits.
        orders = tuple(dict.fromkeys([*said["orders"], *(["limit"] if said["postures"] else [])]))
        market = dict(self._market.by_row()) | {"instruments": self._market.instruments}
        return Case(
            market=market, decide=self._decide, friction=charged, slots=said["slots"], orders=orders,
            resize=said["resize"], columns=tuple(said["columns"]), margin=said["margin"],
            reasons=tuple(said["reasons"]), capital=account["initial_capital"], postures=said["postures"],
            orderly=tuple(said["orderly"]), drawdown=said["drawdown"],
        )  # fmt: skip


@contextmanager
def _strategy(
    folder: Path, dataset: Dataset, research: Path, config: dict[str, Any], spans: list[Span]
) -> Iterator[subprocess.Popen[bytes]]:
    """The process that decides: it has sources and the names of columns, and no path to the workspace."""
    if research.is_dir():
        # Compiled files are left behind: nothing says that they are of these sources.
        shutil.copytree(research, folder / "research", ignore=shutil.ignore_patterns("__pycache__"))
    else:
        (folder / "research").mkdir()
    ts = dataset.grid()
    ask = {
        "config": {key: value for key, value in config.items() if value is not None},
        "dataset": dataset.name,
        "symbols": list(dataset.symbols),
        "total": max(stop for _, stop in spans),
        "first": min(start for start, _ in spans),
        "last": max(stop for _, stop in spans),
        "spans": [(*span, days_of(ts, *span)) for span in spans],
    }
    write_json(folder / "ask.json", ask)
    np.save(folder / "instruments.npy", instrument_records(dataset.instruments))
    known = {key: value for key, value in own_environment().items() if not key.startswith("DOLPHIN_")}
    # Kernels are compiled here anew: what lies in the user's folder could have been written by the strategy's module.
    known |= {"NUMBA_CACHE_DIR": str(folder / "cache"), "PYTHONDONTWRITEBYTECODE": "1", "PWD": str(folder)}
    command = [sys.executable, "-P", "-m", "dolphin.gate.decider", str(folder)]
    with (
        (folder / "said.txt").open("wb") as said,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, env=known, cwd=folder, bufsize=1 << 16
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def _said(process: subprocess.Popen[bytes]) -> str:
    folder = Path(str(process.args[-1]))  # type: ignore[index]
    return (folder / "said.txt").read_text(errors="replace")


def _market(dataset: Dataset, config: dict[str, Any], declared: dict[str, Any]) -> Market:
    """What the strategy reads, from the dataset; its own features are left empty, and made by the process itself."""
    columns = feature_columns(dataset)
    about: Any = SimpleNamespace(
        market=MarketTables(**config.get("market", {})), risk=RiskInputs(**config.get("risk", {})),
        strategy=SimpleNamespace(name=config["strategy"]),
    )  # fmt: skip
    bare = bare_market(dataset, columns)
    features = np.full((len(bare.ts), len(declared["sources"])), np.nan)
    for k, name in enumerate(declared["sources"]):
        if name is not None:
            features[:, k] = scanner_column(columns, str(name), f"strategy '{config['strategy']}'")
    more: dict[str, Any] = {name: market_column(dataset, str(name), about) for name in declared["columns"]}
    return bare._replace(features=features, risk=risk_columns(dataset, about), **more)


def trades_of(engine: SlowEngine) -> Records:
    """The closed trades of slow books, as records."""
    found = np.zeros(len(engine.run.trades), TRADE)
    for row, trade in zip(found, engine.run.trades, strict=True):
        for name in trade._fields:
            row[name] = getattr(trade, name)
    return found


def _unlike(ts: Any, span: Span, engine: SlowEngine, trades: Records, equity: Floats) -> str:
    """Where the books of a span part from what was told of it; empty if no bit does."""
    start, mine = span[0], trades_of(engine)
    where = np.flatnonzero(np.array(engine.run.equity) != equity)
    if len(where):
        bar = start + int(where[0])
        ours, theirs = engine.run.equity[bar - start], float(equity[bar - start])
        return (
            f"bar {bar} ({format_time(ts[bar])}): equity is {ours:.8g} where no later row is known, "
            f"and was told as {theirs:.8g}"
        )
    if len(mine) != len(trades):
        return f"{len(mine)} trades where no later row is known, and {len(trades)} were told"
    for name in engine.run.trades[0]._fields if engine.run.trades else ():
        other = np.flatnonzero(mine[name] != trades[name])
        if len(other):
            k = int(other[0])
            return (
                f"trade {k}: {name} is {mine[name][k]} where no later row is known, and was told as {trades[name][k]}"
            )
    return ""


def _near(a: float, b: float) -> bool:
    return (a != a and b != b) or abs(a - b) <= 1e-6 * max(1.0, abs(a), abs(b))
