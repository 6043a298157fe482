"""What is known of the risk inputs at every bar: values as of their publication, from tables of the workspace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from dolphin.catalog import Dataset
from dolphin.catalog.ingest.external import as_of
from dolphin.catalog.store.tables import Table
from dolphin.core.records import Floats, Ints
from dolphin.errors import DolphinError
from dolphin.risk.acb import acb_p60
from dolphin.risk.esof import modifier
from dolphin.risk.factors import ALIASES
from dolphin.risk.forewarner import MISSING, STATUSES, status_of
from dolphin.risk.rules import FACTORS, RiskRules
from dolphin.risk.stack import Inputs, neutral_inputs
from dolphin.risk.survival import minutes_since_spike

#: The series that hold a factor beside those that are named like it: of the whole market, or of one symbol.
HELD_BY: dict[str, tuple[str, str | None]] = {
    "vix": ("VIXCLS", None),
    "fng": ("FEAR_GREED", None),
    "funding_btc": ("FUNDING_RATE", "BTCUSDT"),
    "funding_eth": ("FUNDING_RATE", "ETHUSDT"),
}
DEPTH, FILL = "DEPTH_QUALITY", "FILL_PROB"
#: The forewarner's series in a table of forecasts.
PROBABILITY = "CATASTROPHIC_PROB"
HOUR_NS = 3600 * 10**9


@dataclass
class Known:
    """Inputs of the stack, and per category what they are made from, in words."""

    inputs: Inputs
    factors: tuple[str, ...] = ()
    books: bool = False
    categories: dict[str, str] = field(default_factory=dict)


def gather(
    dataset: Dataset,
    rules: RiskRules,
    external: Table | None,
    books: Sequence[Table],
    forecasts: Table | None,
    velocity: Floats | None = None,
    esof: str = "neutral",
) -> Known:
    """The inputs of every bar of ``dataset``.

    Parameters
    ----------
    external, forecasts : Table, optional
        Series, each value with the time at which it was public. Without one its categories are neutral.
    books : sequence of Table
        The same of recorded books, such as a table a day; they are joined.
    velocity : float64 [T], optional
        The 750-window velocity, where the rules switch beta by it.
    esof : str
        The esoteric factor that multiplies the stress points, by its name in the registry.

    Raises
    ------
    DolphinError
        If a table holds none of what it is named for, or there is no such esoteric factor.
    """
    ts = dataset.grid()
    known = Known(neutral_inputs(ts)._replace(esof=modifier(esof)(ts)))
    if esof != "neutral":
        known.categories["esoteric factor"] = esof
    if velocity is not None:
        known.inputs = known.inputs._replace(velocity=velocity, p60=acb_p60(ts, velocity))
    known.categories["Rm1 invariants"] = "neutral: research has no store"
    _external(known, external, rules)
    _books(known, books, dataset)
    _forecasts(known, forecasts, rules)
    known.categories["Rm5 capital"] = "not in the table: it is the account's"
    return known


def _external(known: Known, table: Table | None, rules: RiskRules) -> None:
    """The nine factors with their ages, and the minutes since implied volatility last spiked."""
    spikes = "neutral: no series of implied volatility"
    if table is None:
        known.categories |= {"circuit breaker": "neutral: no external table", "Rm4 environment": spikes}
        return
    held = _series(table)
    values, ages, found = known.inputs.values, known.inputs.ages, []
    for k, name in enumerate(FACTORS):
        place = _place(name, held)
        if place is not None:
            values[:, k], ages[:, k] = _values(table, known.inputs.ts, *place)
            found.append(name)
    missing = [name for name in rules.required if name not in found]
    what = f"{len(found)} of 9 factors are recorded: {', '.join(found) or 'none'}"
    if missing:
        what += f"; never ready without {', '.join(missing)}"
    elif rules.reduced:
        what += f"; reduced to {', '.join(rules.required)}"
    known.factors = tuple(found)
    if (place := _place("dvol_btc", held)) is not None:
        series = _rows(table, *place)
        times, readings = series["available_ts"].to_numpy(), series["value"].to_numpy()
        known.inputs = known.inputs._replace(spike=minutes_since_spike(known.inputs.ts, times, readings))
        spikes = f"spikes of {place[0]} in {table.name}"
    known.categories |= {"circuit breaker": what, "Rm4 environment": spikes}


def _books(known: Known, tables: Sequence[Table], dataset: Dataset) -> None:
    """Depth quality and fill probability of the reference's book."""
    if not tables:
        known.categories["Rm3 microstructure"] = "neutral: no table of books"
        return
    symbol, names = dataset.reference, ", ".join(table.name for table in tables)
    held = set.intersection(*(_series(table) for table in tables))
    if (DEPTH, symbol) not in held or (FILL, symbol) not in held:
        raise DolphinError(
            f"table '{names}' holds no {DEPTH} and {FILL} of {symbol}",
            where=dataset.name,
            mend="make one of recorded books: dolphin risk books",
        )
    depth, age = _joined(tables, known.inputs.ts, DEPTH, symbol)
    fill, other = _joined(tables, known.inputs.ts, FILL, symbol)
    missing = (age < 0) | (other < 0)
    ages = np.where(missing, -1, np.maximum(age, other))
    known.inputs = known.inputs._replace(depth=depth, fill=fill, book_age=ages)
    known.books = True
    shown = names if len(tables) < 4 else f"{tables[0].name} to {tables[-1].name} ({len(tables)} tables)"
    known.categories["Rm3 microstructure"] = f"books of {symbol} in {shown}"


def _joined(tables: Sequence[Table], ts: Ints, series: str, symbol: str | None) -> tuple[Floats, Ints]:
    """The newest public value of any of the tables at each bar, as :func:`_values` has it of one."""
    found = [_values(table, ts, series, symbol) for table in tables]
    ages = np.stack([age for _, age in found])
    newest = np.where(ages < 0, np.iinfo(np.int64).max, ages).argmin(axis=0)
    places = np.arange(len(ts))
    return np.stack([values for values, _ in found])[newest, places], ages[newest, places]


def _forecasts(known: Known, table: Table | None, rules: RiskRules) -> None:
    """The forewarner's status and its age in hours."""
    if table is None:
        known.categories["Rm2 structure"] = "neutral: no forecasts"
        return
    _, hours, status = forecast_at(table, known.inputs.ts, rules)
    known.inputs = known.inputs._replace(status=status, hours=hours)
    shares = ", ".join(f"{name} {np.mean(status == k):.1%}" for k, name in enumerate(STATUSES))
    known.categories["Rm2 structure"] = f"forecasts in {table.name}: {shares} of bars"


def forecast_at(table: Table, ts: Ints, rules: RiskRules | None = None) -> tuple[Floats, Floats, Ints]:
    """Probability, age in hours and status code of the forewarner at each time (T,); nan and MISSING before the first.

    The thresholds of the status are those of ``rules``, or the defaults.

    Raises
    ------
    DolphinError
        If the table holds no forecasts.
    """
    if (PROBABILITY, None) not in _series(table):
        raise DolphinError(
            f"table '{table.name}' holds no {PROBABILITY}", mend="make one: dolphin forewarn status --out NAME"
        )
    probability, age = _values(table, ts, PROBABILITY, None)
    chosen = rules or RiskRules()
    levels = chosen.orange_from, chosen.red_from
    codes = np.array([int(status_of(p, *levels)) for p in np.unique(probability)], np.int64)
    status = np.where(age < 0, MISSING, codes[np.unique(probability, return_inverse=True)[1]])
    return probability, np.where(age < 0, np.nan, age / HOUR_NS), status


def _series(table: Table) -> set[tuple[str, str | None]]:
    if table.kind != "series":
        raise DolphinError(f"'{table.name}' holds {table.kind}, no series", mend="import them: dolphin data import")
    return set(table.frame().select("series", "symbol").unique().collect().iter_rows())


def _place(name: str, held: set[tuple[str, str | None]]) -> tuple[str, str | None] | None:
    """The series that holds a factor: one of its name, of an older name of it, or of another source."""
    names = [name, *(old for old, new in ALIASES.items() if new == name and old != "funding_rate")]
    ours: Sequence[tuple[str, str | None]] = [(spelled, None) for n in names for spelled in (n.upper(), n)]
    return next((place for place in (*ours, HELD_BY.get(name)) if place in held), None)


def _rows(table: Table, series: str, symbol: str | None) -> pl.DataFrame:
    of = pl.col("symbol").is_null() if symbol is None else pl.col("symbol") == symbol
    return table.frame().filter(pl.col("series") == series, of).sort("available_ts", "reference_ts").collect()


def _values(table: Table, ts: Ints, series: str, symbol: str | None) -> tuple[Floats, Ints]:
    """The newest public value at each bar, NaN before the first, and its age in ns, -1 there."""
    rows: Any = table.frame().filter(pl.col("series") == series)
    found = as_of(rows, ts, series=[series], symbol=symbol)
    values = found[series].fill_null(np.nan).to_numpy().astype(np.float64)
    return values, found[f"{series}_age_ns"].fill_null(-1).to_numpy().astype(np.int64)
