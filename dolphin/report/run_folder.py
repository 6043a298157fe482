"""A run folder, read whole and checked before a single line of a page is made from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from dolphin.errors import DolphinError, nearest_beside
from dolphin.files import from_json_value, read_json
from dolphin.manifests import check_manifest

METRICS = (
    "trades", "profit_factor", "win_rate", "roi", "max_drawdown", "sharpe_365", "sharpe_252",
    "final_equity", "fees_paid", "open_position", "bars",
)  # fmt: skip
_TRADES = (
    "ts", "strategy", "asset", "side", "entry_price", "exit_price", "quantity", "pnl", "pnl_pct",
    "exit_reason", "leverage", "bars_held", "entry_bar", "exit_bar",
)  # fmt: skip
_EQUITY = ("ts", "equity", "capital", "drawdown", "position")
_AGAIN = "run the backtest again into an empty folder"


@dataclass(frozen=True)
class Run:
    """What one run wrote.

    Attributes
    ----------
    folder : Path
    config : dict
        The resolved config: strategy, preset, params, friction, account.
    config_hash : str
    facts : dict
        ``run.json`` as it is; ``synthetic`` is always there.
    metrics : dict
        Numbers; infinity and not-a-number are floats again.
    trades : polars.DataFrame
        One row per closed trade, in exit order; ``ts`` int64 ns, ``side`` is LONG or SHORT.
    equity : polars.DataFrame
        One row per bar: ``ts`` (int64 ns, close), ``equity``, ``capital``, ``drawdown`` (fraction >= 0),
        ``position``.
    final_digest : int
        State digest after the last bar.
    figures : dict
        ``figures.json``; empty in a folder that an older version wrote, as the two below.
    daily : polars.DataFrame
        A row per UTC day: equity and benchmarks as levels over the start, return, rolling Sharpe ratio.
    prices : polars.DataFrame
        ``asset``, ``ts``, ``price`` of what was traded most.
    """

    folder: Path
    config: dict[str, Any]
    config_hash: str
    facts: dict[str, Any]
    metrics: dict[str, Any]
    trades: pl.DataFrame
    equity: pl.DataFrame
    final_digest: int
    figures: dict[str, Any] = field(default_factory=dict)
    daily: pl.DataFrame = field(default_factory=pl.DataFrame)
    prices: pl.DataFrame = field(default_factory=pl.DataFrame)

    @property
    def initial_capital(self) -> float:
        return float(self.config["account"]["initial_capital"])

    @property
    def spacing(self) -> int | None:
        """Nanoseconds between bars (the most frequent distance), or None for a single bar."""
        if self.equity.height < 2:
            return None
        return int(self.equity["ts"].diff().drop_nulls().mode().sort()[0])

    @property
    def synthetic(self) -> bool:
        return bool(self.facts["synthetic"])


def read_run(folder: Path) -> Run:
    """Read and check a run folder.

    Raises
    ------
    DolphinError
        A file or a key is missing or unreadable, or the files do not belong to the same run (their
        counts of bars and trades differ).
    """
    folder = Path(folder)
    if not folder.is_dir():
        mend = nearest_beside(folder, "*/run.json", "'dolphin runs list' has the runs")
        raise DolphinError("no such run folder", where=str(folder), mend=mend)
    check_manifest(folder)
    config = _document(folder / "config.json", ("config", "hash"))
    resolved = _mapping(config["config"], folder / "config.json", "config")
    account = _mapping(resolved.get("account"), folder / "config.json", "config.account")
    if not _is_number(account.get("initial_capital")) or account["initial_capital"] <= 0:
        raise DolphinError(
            f"account.initial_capital is {account.get('initial_capital')!r}, not a positive number",
            where=str(folder / "config.json"),
            mend=_AGAIN,
        )
    facts = _document(folder / "run.json", ("dataset", "synthetic"))
    if not isinstance(facts["synthetic"], bool):
        raise DolphinError(
            f"'synthetic' is {facts['synthetic']!r}, neither true nor false",
            where=str(folder / "run.json"),
            mend=_AGAIN,
        )
    metrics = _metrics(folder / "metrics.json")
    equity = _equity(folder / "equity.parquet")
    trades = _trades(folder / "trades.parquet")
    digests = _frame(folder / "digests.parquet", ("ts", "digest"))
    for name, found, expected in (
        ("trades.parquet", trades.height, metrics["trades"]),
        ("equity.parquet", equity.height, metrics["bars"]),
        ("digests.parquet", digests.height, metrics["bars"]),
    ):
        if found != expected:
            raise DolphinError(
                f"{found:,} rows where metrics.json counts {expected:,}: these files are not of one run",
                where=str(folder / name),
                mend=_AGAIN,
            )
    return Run(
        folder=folder,
        config=resolved,
        config_hash=str(config["hash"]),
        facts=facts,
        metrics=metrics,
        trades=trades,
        equity=equity,
        final_digest=int(digests["digest"][-1]),
        **_more(folder),
    )


def _more(folder: Path) -> dict[str, Any]:
    """What newer versions write beside it."""
    if not (folder / "figures.json").is_file():
        return {}
    figures = _mapping(read_json(folder / "figures.json"), folder / "figures.json", "the document")
    daily, prices = (pl.read_parquet(folder / f"{name}.parquet") for name in ("daily", "prices"))
    return {"figures": figures, "daily": daily, "prices": prices}


def _document(path: Path, keys: tuple[str, ...]) -> dict[str, Any]:
    document = _mapping(read_json(path), path, "the document")
    for key in keys:
        if key not in document:
            raise DolphinError(f"key '{key}' is missing", where=str(path), mend=_AGAIN)
    return document


def _mapping(value: Any, path: Path, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise DolphinError(f"{what} is not a JSON object", where=str(path), mend=_AGAIN)
    return value


def _metrics(path: Path) -> dict[str, Any]:
    metrics = {name: from_json_value(value) for name, value in _document(path, METRICS).items()}
    for key in METRICS:
        if key != "open_position" and not _is_number(metrics[key]):
            raise DolphinError(f"'{key}' is {metrics[key]!r}, not a number", where=str(path), mend=_AGAIN)
    return metrics


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _frame(path: Path, columns: tuple[str, ...]) -> pl.DataFrame:
    if not path.is_file():
        raise DolphinError("no such file", where=str(path), mend=_AGAIN)
    try:
        frame = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise DolphinError(f"not readable as Parquet ({reason})", where=str(path), mend=_AGAIN) from error
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise DolphinError(f"no column {', '.join(missing)}", where=str(path), mend=_AGAIN)
    stamp = frame.schema["ts"]
    if stamp.is_temporal():
        frame = frame.with_columns(pl.col("ts").dt.epoch("ns"))
    elif not stamp.is_integer():
        raise DolphinError(f"ts is {stamp}, not nanoseconds", where=str(path), mend=_AGAIN)
    return frame.with_columns(pl.col("ts").cast(pl.Int64))


def _equity(path: Path) -> pl.DataFrame:
    frame = _frame(path, _EQUITY)
    if frame.is_empty():
        raise DolphinError("no bars", where=str(path), mend="a run needs at least one bar")
    if not frame["ts"].is_sorted() or frame["ts"].n_unique() != frame.height:
        raise DolphinError("ts does not increase from bar to bar", where=str(path), mend=_AGAIN)
    for name in ("equity", "capital", "drawdown"):
        values = _numeric(frame, name, path)
        bad = (~values.is_finite()).fill_null(True).arg_true()
        if len(bad):
            raise DolphinError(f"{name} is not a finite number at bar {bad[0]:,}", where=str(path), mend=_AGAIN)
    # A drawdown is a loss whichever sign it was written with.
    return frame.with_columns(pl.col("equity", "capital").cast(pl.Float64), pl.col("drawdown").cast(pl.Float64).abs())


def _trades(path: Path) -> pl.DataFrame:
    frame = _frame(path, _TRADES)
    for name in ("pnl", "pnl_pct", "entry_price", "exit_price", "quantity", "leverage"):
        values = _numeric(frame, name, path)
        bad = (~values.is_finite()).fill_null(True).arg_true()
        if len(bad):
            raise DolphinError(f"{name} is not a finite number in trade {bad[0]:,}", where=str(path), mend=_AGAIN)
    side = pl.col("side").cast(pl.String).str.to_uppercase()
    frame = frame.with_columns(
        side.replace({"-1": "SHORT", "1": "LONG", "SELL": "SHORT", "BUY": "LONG"}),
        pl.col("asset", "exit_reason", "strategy").cast(pl.String),
    )
    return frame.sort("ts", maintain_order=True)


def _numeric(frame: pl.DataFrame, name: str, path: Path) -> pl.Series:
    if not frame.schema[name].is_numeric():
        raise DolphinError(f"{name} is {frame.schema[name]}, not a number", where=str(path), mend=_AGAIN)
    return frame[name].cast(pl.Float64)
