"""One configuration over one window of one dataset, and the folder it leaves (CLI, run folder)."""

from __future__ import annotations

import platform
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dolphin.catalog import Dataset, format_spacing
from dolphin.catalog.store.layout import writing
from dolphin.config import Config
from dolphin.core.engine import Engine, Recording
from dolphin.core.records import POSTURES, Floats, Ints, Market, Records, State
from dolphin.errors import BadInput, Damaged, DolphinError, NotFound
from dolphin.files import json_value, publish_folder, read_json, write_json
from dolphin.manifests import write_manifest
from dolphin.market.risk_table import check_recorded, risk_document
from dolphin.risk.capital import Capital
from dolphin.study.measure.documents import (
    BarDocument,
    ConfigFile,
    DatasetDocument,
    MetricsDocument,
    RiskDocument,
    RunDocument,
)
from dolphin.study.measure.metrics import (
    ALL_METRICS,
    daily_levels,
    daily_returns,
    exit_counts,
    metrics_of,
    one,
)
from dolphin.study.measure.spans import Span
from dolphin.times import format_time, return_day

#: Namespace of the scan identifiers that research derives from (data digest, bar).
SCAN_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_OID, "dolphin.scan")
REGIMES = np.array(["NEUTRAL", "BULL", "BEAR"])  # by regime code 0, +1, -1
#: The role whose value at entry has a column among the 24; NaN for strategies without it.
SIGNAL = "vel_div"
#: The journal in a run folder that has one.
JOURNAL = "journal.arrow"
_REPLACE = "name a new folder for --out, or replace it with --force"
LIBRARIES = ("numba", "numpy", "polars", "vectorbt", "nautilus_trader")


@dataclass(frozen=True)
class Run:
    """One finished run: bars ``start`` to ``stop`` (rows) of ``dataset`` under ``config``."""

    dataset: Dataset
    market: Market
    config: Config
    engine: Engine
    start: int
    stop: int
    recording: Recording
    metrics: dict[str, Any]
    seconds: float

    @property
    def daily_returns(self) -> Floats:
        """(days,) float64: the equity's return on each UTC day, the last, open one included."""
        state, capital = self.recording.state, np.array([self.config.account.initial_capital])
        return daily_returns(daily_levels(state.account, capital, state.day_ends[None]))[0]

    @property
    def final_digest(self) -> str:
        """The chained digest after the last bar, 16 hexadecimal digits."""
        return f"{int(self.recording.digests[-1]):016x}"


def window_rows(ts: Ints, start_ns: int | None, stop_ns: int | None, where: str) -> Span:
    """Rows of the bars that close at or after ``start_ns`` and before ``stop_ns``."""
    start = 0 if start_ns is None else int(np.searchsorted(ts, start_ns))
    stop = len(ts) if stop_ns is None else int(np.searchsorted(ts, stop_ns))
    if start >= stop:
        raise DolphinError(
            "no bars between --from and --to",
            where=where,
            mend=f"the data closes from {format_time(ts[0])} to {format_time(ts[-1])}",
        )
    return Span(start, stop)


def days_of(ts: Ints, start: int, stop: int) -> int:
    """At most so many days with a return lie in rows ``start`` to ``stop``; fewer where an exchange was closed."""
    return int(return_day(ts[stop - 1]) - return_day(ts[start])) + 1


def flat_state(config: Config, market: Market, start: int, stop: int) -> State:
    """The flat account that a run over rows ``start`` to ``stop`` begins with: the one way to make it in research.

    Judged runs, parity rungs and checks must not differ in what a strategy can see of its state.
    """
    days = days_of(market.ts, start, stop)
    return config.engine.new_state(market.price.shape[1], config.account.initial_capital, days)


def run(dataset: Dataset, market: Market, config: Config, start: int, stop: int) -> Run:
    """Run ``config`` over rows ``start`` to ``stop`` of ``market``."""
    engine = config.engine
    capital = config.account.initial_capital
    state = flat_state(config, market, start, stop)
    began = time.perf_counter()
    recording = engine.run(state, config.params_record(), config.friction_record(), market, start, stop)
    seconds = time.perf_counter() - began
    check_reasons(recording.trades, config, market)
    metrics = one(metrics_of(state.account, np.array([capital]), state.day_ends[None]))
    metrics["exits"] = exit_counts(state.exits, config.strategy.reasons)
    return Run(dataset, market, config, engine, start, stop, recording, metrics, seconds)


def check_reasons(trades: Records, config: Config, market: Market) -> None:
    """Raise where a trade was closed for a reason that the strategy does not declare."""
    names = config.strategy.reasons
    odd = (trades["reason"] < 0) | (trades["reason"] >= len(names))
    if not odd.any():
        return
    first = trades[odd.argmax()]
    shown = ", ".join(f"{code} {name or 'none'}" for code, name in enumerate(names)) or "none"
    raise BadInput(
        f"strategy '{config.strategy.name}' closed for reason {first['reason']} at the bar of "
        f"{format_time(market.ts[first['exit_bar']])}, and its reasons are: {shown}",
        mend='a reason\'s place in Strategy(reasons=("", "FIRST", ...)) is its number',
    )


def trades_frame(run: Run, regime: NDArray[np.int8]) -> pl.DataFrame:
    """The 24 columns of ENGINE section 4, then ``entry_bar`` and ``exit_bar``, and ``funding`` where there is any.

    ``ts`` and ``date`` are of the exit bar's close; what holds "at entry" is of the bar that
    decided. ``regime`` (T,) int8 is the scanner's.
    """
    trades, market, config = run.recording.trades, run.market, run.config
    decided = trades["entry_bar"] - (config.friction.fill_timing == "next")
    risk = risk_read(run)[decided - run.start]
    symbols = np.array(run.dataset.symbols)
    ts = market.ts[trades["exit_bar"]]
    columns = config.strategy.columns
    signal = columns.index(SIGNAL) if SIGNAL in columns else None
    frame = pl.DataFrame(
        {
            "ts": ts,
            "date": np.datetime_as_string(ts.astype("datetime64[ns]"), unit="D").astype(str),
            "strategy": np.full(len(ts), config.strategy.name),
            "asset": symbols[trades["asset"]],
            "side": np.where(trades["side"] > 0, "LONG", "SHORT"),
            "entry_price": trades["entry_price"],
            "exit_price": trades["exit_price"],
            "quantity": trades["qty"],
            "pnl": trades["pnl"],
            "pnl_pct": trades["pnl_pct"],
            "exit_reason": np.array(config.strategy.reasons)[trades["reason"]],
            f"{SIGNAL}_entry": np.full(len(ts), np.nan) if signal is None else market.features[decided, signal],
            "boost_at_entry": risk["boost"],
            "beta_at_entry": risk["beta"],
            "posture": np.array(POSTURES)[risk["posture"]],
            "leverage": trades["leverage"],
            "regime_signal": REGIMES[regime[decided]],
            "capital_before": trades["capital_before"],
            "capital_after": trades["capital_after"],
            "peak_capital": trades["peak_before"],
            "drawdown_at_entry": trades["drawdown_before"],
            "open_positions_count": trades["open_positions"],
            "scan_uuid": [str(scan_uuid(run.dataset.digest, bar)) for bar in decided.tolist()],
            "bars_held": trades["exit_bar"] - trades["entry_bar"],
            "entry_bar": trades["entry_bar"],
            "exit_bar": trades["exit_bar"],
        }
    )
    if len(market.funding):  # what the position received, less what it paid; no part of its P&L
        frame = frame.with_columns(pl.Series("funding", trades["funding"]))
    text = ("date", "strategy", "asset", "side", "exit_reason", "posture", "regime_signal", "scan_uuid")
    return frame.with_columns(pl.col(name).cast(pl.String) for name in text)


def risk_read(run: Run) -> Records:
    """(bars,) of RISK: what the step decided by, the account's Rm5 with it where it is weighed."""
    rows = run.market.risk[run.start : run.stop]
    if not run.engine.strategy.drawdown:
        return rows
    before = np.concatenate([[run.config.account.initial_capital], run.recording.equity[:-1]])
    return Capital().weigh(rows, run.market.ts[run.start : run.stop], before)[0]


def scan_uuid(data_digest: str, bar: int) -> uuid.UUID:
    """The identifier of a scan row in research: the same for every rerun."""
    return uuid.uuid5(SCAN_NAMESPACE, f"{data_digest}:{bar}")


def equity_frame(run: Run) -> pl.DataFrame:
    """Per bar: close time, equity, realised capital, drawdown from the peak, position."""
    recording = run.recording
    peak = np.maximum(np.maximum.accumulate(recording.equity), run.config.account.initial_capital)
    return pl.DataFrame(
        {
            "ts": run.market.ts[run.start : run.stop],
            "equity": recording.equity,
            "capital": recording.capital,
            "drawdown": (peak - recording.equity) / peak,
            "position": recording.position,
        }
    )


def digests_frame(run: Run) -> pl.DataFrame:
    """Per bar: close time and chained digest."""
    return pl.DataFrame({"ts": run.market.ts[run.start : run.stop], "digest": run.recording.digests})


def metrics_document(run: Run) -> MetricsDocument:
    """``metrics.json``: the contract's names first, then what else is known."""
    return cast(MetricsDocument, {name: json_value(run.metrics[name]) for name in (*ALL_METRICS, "exits")})


def run_document(run: Run) -> RunDocument:
    """``run.json``: where the numbers come from."""
    ts, manifest = run.market.ts, run.dataset.manifest
    dataset: DatasetDocument = {
        "name": run.dataset.name,
        "digest": run.dataset.digest,
        "spacing": format_spacing(run.dataset.spacing_ns),
        "symbols": len(run.dataset.symbols),
        "source": run.dataset.source,
    }
    if manifest.get("preset") is not None:
        dataset["preset"] = manifest["preset"]
    if manifest.get("seed") is not None:
        dataset["seed"] = manifest["seed"]
    document: RunDocument = {
        "dataset": dataset,
        "synthetic": run.dataset.synthetic,
        "caveats": manifest.get("notes", []),
        "engine_digest": run.engine.digest,
        "config_hash": run.config.hash,
        "first_bar": _bar(ts, run.start),
        "last_bar": _bar(ts, run.stop - 1),
        "final_digest": run.final_digest,
        "platform": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "versions": library_versions(),
        "timings": {"engine_seconds": run.seconds},
    }
    risk = risk_document(run.dataset, run.config)
    if risk is not None:
        document["risk"] = cast(RiskDocument, risk)
    return document


def _bar(ts: Ints, row: int) -> BarDocument:
    return {"row": row, "ts": int(ts[row]), "time": format_time(ts[row])}


def library_versions() -> dict[str, str]:
    """Versions of this project and of the libraries that a result may depend on; extras may be absent."""
    found = {"dolphin": metadata.version("dolphin-quant")}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def write_run(run: Run, regime: NDArray[np.int8], out: Path) -> Path:
    """Write the run folder whole; an earlier run there is replaced."""
    with writing_run(run, regime, out):
        pass
    return Path(out)


@contextmanager
def writing_run(run: Run, regime: NDArray[np.int8], out: Path, *, journal: bool = False) -> Iterator[None]:
    """Write the run folder, let the block do what must not fail after it, then move it into place.

    With ``journal`` it holds one: the run is made again beside it, and must be the same.
    """
    from dolphin.study.measure.benchmarks import daily_frame, figures_document, prices_frame

    out = check_out(out)
    frames = {
        "trades.parquet": trades_frame(run, regime),
        "equity.parquet": equity_frame(run),
        "digests.parquet": digests_frame(run),
        "daily.parquet": daily_frame(run),
        "prices.parquet": prices_frame(run),
    }
    config: ConfigFile = {"config": run.config.document(), "hash": run.config.hash}
    risk: dict[str, Any] | None = None
    if run.config.risk.table is not None and run.config.risk.mode != "neutral":
        from dolphin.study.measure.risk_cost import risk_cost, risk_frame

        frames["risk.parquet"], risk = risk_frame(run), risk_cost(run)
    with publish_folder(out) as part, writing(out):
        for name, frame in frames.items():
            frame.write_parquet(part / name, compression="zstd")
        write_json(part / "config.json", config)
        write_json(part / "metrics.json", metrics_document(run))
        write_json(part / "figures.json", figures_document(run))
        write_json(part / "run.json", run_document(run))
        if risk is not None:
            write_json(part / "risk.json", risk)
        if journal:
            from dolphin.journal.of_run import write_run_journal  # pyarrow takes a while to import

            where = run.dataset, run.market, run.config, run.start, run.stop
            digests = write_run_journal(part / JOURNAL, *where, library_versions())
            assert (digests == run.recording.digests).all(), "the journal's run is not the run"
        write_manifest(part)
        yield


def check_same(out: Path, dataset: Dataset, config: Config, first_ts: int, last_ts: int) -> None:
    """Refuse a folder that holds the run of another configuration, dataset or window."""
    path = Path(out) / "run.json"
    if not path.is_file():
        return
    try:
        about: RunDocument = read_json(path)
        held = {
            "configuration": about["config_hash"],
            "dataset": about["dataset"]["digest"],
            "window": (about["first_bar"]["ts"], about["last_bar"]["ts"]),
        }
    except (NotFound, Damaged, KeyError, TypeError):
        raise DolphinError("holds a run that cannot be read", where=str(path), mend=_REPLACE) from None
    wanted = {"configuration": config.hash, "dataset": dataset.digest, "window": (first_ts, last_ts)}
    other = [name for name, value in wanted.items() if held[name] != value]
    if other:
        raise DolphinError(f"holds the run of another {' and '.join(other)}", where=str(out), mend=_REPLACE)
    check_recorded(dataset, config, about, str(path))


def check_out(out: Path) -> Path:
    """``out`` if a run may be written there: it is new, empty, or an earlier run."""
    out = Path(out)
    above = next(parent for parent in out.absolute().parents if parent.exists())
    if not above.is_dir():
        raise DolphinError(f"cannot write: {above} is a file", where=str(out), mend="name a folder for --out")
    if out.exists() and not out.is_dir():
        raise DolphinError("is a file", where=str(out), mend="name a folder for --out")
    if out.is_dir() and any(out.iterdir()) and not (out / "run.json").is_file():
        raise DolphinError("holds other files than a run", where=str(out), mend="name a new folder for --out")
    return out
