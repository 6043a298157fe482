"""Sessions: holidays, half days, daylight saving and evenings, against known dates."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from dolphin.catalog.ingest.importer import import_klines
from dolphin.catalog.store.dataset import from_manifest, open_dataset
from dolphin.catalog.store.layout import Identity
from dolphin.catalog.store.sessions import NO_SESSION, calendar
from dolphin.errors import DolphinError
from dolphin.times import DAY_NS, SECOND_NS, format_time, parse_time
from dolphin.workspace import Workspace

MINUTES_5 = 300 * SECOND_NS


def day(text: str) -> int:
    return parse_time(text) // DAY_NS


@pytest.mark.parametrize(
    ("name", "date", "opening", "closing"),
    [
        ("NYSE", "2024-11-27", "2024-11-27T14:30:00Z", "2024-11-27T21:00:00Z"),
        ("NYSE", "2024-11-29", "2024-11-29T14:30:00Z", "2024-11-29T18:00:00Z"),  # half day, 13:00 in New York
        ("NYSE", "2024-07-03", "2024-07-03T13:30:00Z", "2024-07-03T17:00:00Z"),  # half day in summer
        ("NYSE", "2023-07-03", "2023-07-03T13:30:00Z", "2023-07-03T17:00:00Z"),
        ("XNYS", "2024-03-08", "2024-03-08T14:30:00Z", "2024-03-08T21:00:00Z"),  # the last day of winter time
        ("XNYS", "2024-03-11", "2024-03-11T13:30:00Z", "2024-03-11T20:00:00Z"),  # the first of summer time
        ("CME", "2024-11-27", "2024-11-26T23:00:00Z", "2024-11-27T23:00:00Z"),  # begins the evening before
        ("CME", "2024-11-28", "2024-11-27T23:00:00Z", "2024-11-28T18:00:00Z"),  # Thanksgiving: an early close
        ("CMES", "2024-03-11", "2024-03-10T22:00:00Z", "2024-03-11T22:00:00Z"),  # Sunday evening, summer time
    ],
)
def test_known_sessions(name: str, date: str, opening: str, closing: str) -> None:
    first, last = calendar(name).bounds(day(date))
    assert (format_time(first), format_time(last)) == (opening, closing)


@pytest.mark.parametrize(
    ("name", "date"),
    [
        ("NYSE", "2021-12-24"),
        ("NYSE", "2024-11-28"),
        ("NYSE", "2024-03-10"),
        ("CME", "2021-12-24"),
        ("CME", "2024-11-30"),
    ],
)
def test_no_session(name: str, date: str) -> None:
    assert day(date) not in calendar(name).days(day(date) - 3, day(date) + 3)
    with pytest.raises(DolphinError, match=f"no session on {date}"):
        calendar(name).bounds(day(date))


def test_a_close_at_the_end_belongs_to_the_session_and_one_at_the_opening_does_not() -> None:
    nyse = calendar("NYSE")
    first, last = nyse.bounds(day("2024-11-29"))
    assert nyse.date_of(np.array([first, first + 1, last, last + 1])).tolist() == [
        NO_SESSION, day("2024-11-29"), day("2024-11-29"), NO_SESSION,
    ]  # fmt: skip
    assert [nyse.is_open(ts) for ts in (first - 1, first, last - 1, last)] == [False, True, True, False]


def test_cme_dates_change_in_the_evening() -> None:
    cme = calendar("CME")
    evening = parse_time("2024-11-26T23:00")
    assert cme.date_of(np.array([evening, evening + 1])).tolist() == [day("2024-11-26"), day("2024-11-27")]


def test_closes_are_those_of_the_sessions() -> None:
    nyse = calendar("NYSE")
    closes = nyse.closes(parse_time("2024-11-27"), parse_time("2024-12-01"), MINUTES_5)
    assert len(closes) == 78 + 42 and (np.diff(closes) > 0).all()
    assert np.unique(nyse.date_of(closes)).tolist() == [day("2024-11-27"), day("2024-11-29")]
    assert nyse.closes_of(day("2024-11-29"), MINUTES_5).tolist() == closes[78:].tolist()
    assert len(calendar("CME").closes_of(day("2024-11-28"), MINUTES_5)) == 228


def test_a_lunch_break_is_no_session() -> None:
    hong_kong = calendar("XHKG")
    assert len(hong_kong.closes_of(day("2024-11-27"), MINUTES_5)) == 66
    assert not hong_kong.is_open(parse_time("2024-11-27T04:30"))


def test_always_open_is_the_utc_day() -> None:
    always = calendar("always_open")
    midnight = parse_time("2024-11-28")
    assert always.date_of(np.array([midnight - 1, midnight])).tolist() == [day("2024-11-27"), day("2024-11-28")]
    assert always.is_open(midnight) and len(always.closes_of(day("2024-11-28"), MINUTES_5)) == 288
    assert always.closes(midnight, midnight + DAY_NS, MINUTES_5).size == 289


def test_unknown_names_and_times_are_one_line() -> None:
    with pytest.raises(DolphinError, match="no calendar 'NYSEE'; did you mean 'NYSE'"):
        calendar("NYSEE")
    with pytest.raises(DolphinError, match="known from 2000-01-01"):
        calendar("NYSE").date_of(np.array([parse_time("1999-01-04T15:00")]))


def test_only_a_calendar_enters_the_digest() -> None:
    assert "calendar" not in Identity(1, ("A",), "A", ()).as_dict()
    assert Identity(1, ("A",), "A", (), calendar="XNYS").as_dict()["calendar"] == "XNYS"


def half_hours(name: str, first: str, last: str) -> pl.DataFrame:
    """Klines whose closes are all those of a calendar; open times in ms."""
    spacing = 1800 * SECOND_NS
    closes = calendar(name).closes(parse_time(first), parse_time(last), spacing)
    price = 100 + np.arange(len(closes)) % 7 / 100
    values = {"open": price, "high": price, "low": price, "close": price, "volume": np.ones(len(closes))}
    return pl.DataFrame({"symbol": "BTCUSDT", "ts": (closes - spacing) // 10**6, **values})


def test_a_dataset_of_sessions_has_gaps_only_inside_them(workspace: Workspace, source: Callable[..., Path]) -> None:
    frame = half_hours("NYSE", "2024-11-27", "2024-12-03")
    whole = frame.height
    path = source(frame.filter(pl.int_range(pl.len()) != 20))
    report = import_klines(workspace, path, "ny", calendar="NYSE", spacing_ns=1800 * SECOND_NS)
    dataset = open_dataset(workspace, "ny")
    assert dataset.calendar == "XNYS" and dataset.n_bars == whole == 13 + 7 + 13
    assert dataset.session_dates == dataset.days == ("2024-11-27", "2024-11-29", "2024-12-02")
    assert report.quality["gaps"]["BTCUSDT"]["missing"] == 1
    prices = dataset.prices()
    assert prices.ts.tolist() == dataset.grid().tolist() and prices.age[:, 0].tolist().index(1) == 19 + 1
    altered = {**dataset.manifest, "calendar": "CMES"}
    with pytest.raises(DolphinError, match="digest does not match"):
        from_manifest(workspace.catalog, altered, workspace.catalog / "ny.json")


def test_cme_files_are_by_session_date(workspace: Workspace, source: Callable[..., Path]) -> None:
    path = source(half_hours("CME", "2024-11-27T23:00:01", "2024-11-29T18:00"))
    import_klines(workspace, path, "cme", calendar="CME", spacing_ns=1800 * SECOND_NS)
    dataset = open_dataset(workspace, "cme")
    assert tuple(dataset.manifest["days"]) == dataset.session_dates == ("2024-11-28", "2024-11-29")
    assert dataset.days == ("2024-11-27", "2024-11-28", "2024-11-29")
    assert (dataset.prices().age == 0).all()
