"""External factors: nothing is known before it was public."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dolphin.catalog import readers
from dolphin.catalog.ingest.external import LAGS, as_of, import_series, lag_rule, with_availability
from dolphin.catalog.readers.series import series_name
from dolphin.catalog.store.tables import Table
from dolphin.errors import DolphinError
from dolphin.freshness import LIMITS, fresh
from dolphin.times import DAY_NS, SECOND_NS, format_time, parse_time
from dolphin.workspace import Workspace


def take(workspace: Workspace, *paths: Path, **about: object) -> Table:
    return import_series(workspace, "m", ((path, readers.read(path)) for path in paths), {"source": "s", **about})


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("series", "reference", "public"),
    [
        ("VIXCLS", "2024-03-07", "2024-03-08T22:00:00Z"),
        ("VIXCLS", "2024-03-08", "2024-03-11T22:00:00Z"),  # over a weekend
        ("DGS10", "2024-07-03", "2024-07-05T22:00:00Z"),  # over Independence Day
        ("SP500", "2024-12-31", "2025-01-02T22:00:00Z"),
        ("DTWEXBGS", "2024-03-04", "2024-03-11T22:00:00Z"),  # a Monday's rate waits a week
        ("DTWEXBGS", "2024-03-08", "2024-03-11T22:00:00Z"),
        ("DTWEXBGS", "2024-05-24", "2024-05-28T22:00:00Z"),  # Memorial Day
        ("FEDFUNDS", "2024-08-01", "2024-09-03T22:00:00Z"),  # Labor Day was the 2nd
        ("FEDFUNDS", "2023-12-01", "2024-01-02T22:00:00Z"),
        ("FEAR_GREED", "2024-03-08", "2024-03-08T01:00:00Z"),
        ("FUNDING_RATE", "2024-03-08T08:00", "2024-03-08T08:00:00Z"),
    ],
)
def test_when_a_value_is_public(series: str, reference: str, public: str) -> None:
    assert format_time(int(LAGS[series].available(np.array([parse_time(reference)]))[0])) == public


@given(st.sampled_from(sorted(LAGS)), st.integers(3653, 25_000))
def test_no_value_is_public_before_its_reference_and_order_is_kept(series: str, first: int) -> None:
    reference = (first + np.arange(60, dtype=np.int64)) * DAY_NS
    available = LAGS[series].available(reference)
    assert (available >= reference).all() and (np.diff(available) >= 0).all()


def test_names_come_from_the_files(tmp_path: Path) -> None:
    assert [series_name(n) for n in ("fred_VIXCLS", "fear_greed_index", "my-rate 2")] == [
        "VIXCLS",
        "FEAR_GREED",
        "MY_RATE_2",
    ]


def test_empty_values_are_counted_not_invented(tmp_path: Path) -> None:
    reading = readers.read(
        write(tmp_path / "fred_DGS10.csv", "date,value\n1980-01-01,\n1980-01-02,10.5\n1980-01-03,.\n")
    )
    assert pl.concat(reading.frames).rows() == [("DGS10", None, parse_time("1980-01-02"), 10.5)]
    assert reading.notes == ("fred_DGS10.csv: 2 dates without a value left out",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("date,value\n2024-02-30,1\n", "'2024-02-30' is no date"),
        ("date,value\n2024-02-01T12:00,1\n", "is no date"),
        ("date,value\n2024-02-01,abc\n", "'abc' is no value"),
        ("date,value\n2024-02-01,inf\n", "not finite"),
        ("date,value\n2024-02-01,\n", "holds no rows"),
    ],
)
def test_bad_series_are_one_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DolphinError, match=said):
        list(readers.read(write(tmp_path / "fred_DGS10.csv", text)).frames)


def test_a_series_without_a_rule_is_refused_unless_a_lag_is_given(workspace: Workspace, tmp_path: Path) -> None:
    path = write(tmp_path / "fred_DGS2.csv", "date,value\n2024-03-04,4.5\n")
    with pytest.raises(DolphinError, match="no rule says when 'DGS2' is public; did you mean 'DGS10'"):
        take(workspace, path)
    table = take(workspace, path, lags={"DGS2": "3d"})
    assert table.frame().collect()["available_ts"].to_list() == [parse_time("2024-03-07")]
    assert table.manifest["lag_rules"] == {"DGS2": "3d after the reference time"}
    assert lag_rule("VIXCLS", {"VIXCLS": "2d"}).period_ns == DAY_NS


def test_as_of_goes_by_publication(workspace: Workspace, tmp_path: Path) -> None:
    path = write(tmp_path / "fred_VIXCLS.csv", "date,value\n2024-03-07,14.44\n2024-03-08,14.74\n2024-03-08,15\n")
    table = take(workspace, path)
    assert table.manifest["quality"]["counts"] == {"duplicate": 1} and table.dates == ("2024-01-01",)
    times = [parse_time(t) for t in ("2024-03-11T22:00", "2024-03-08T21:59:59", "2024-03-11T21:59:59")]
    answer = as_of(table, np.array(times))
    assert answer["ts"].to_list() == times
    assert answer["VIXCLS"].to_list() == [14.74, None, 14.44]
    assert answer["VIXCLS_age_ns"].to_list() == [0, None, 3 * DAY_NS - SECOND_NS]
    with pytest.raises(DolphinError, match="no series 'VIX'; did you mean 'VIXCLS'"):
        as_of(table, np.array(times), series=["VIX"])


days = st.integers(10_957, 11_100)
tables = st.lists(st.tuples(st.sampled_from(["VIXCLS", "DTWEXBGS", "FEDFUNDS"]), days), min_size=1, unique=True)


@settings(max_examples=60)
@given(rows=tables, cut=days, data=st.data())
def test_the_future_of_the_source_changes_no_answer(rows: list[tuple[str, int]], cut: int, data: st.DataObject) -> None:
    names, reference = zip(*rows, strict=True)
    frame = pl.DataFrame({"series": names, "reference_ts": [d * DAY_NS for d in reference]}).with_columns(
        pl.lit(None, pl.String).alias("symbol"), pl.col("reference_ts").cast(pl.Float64).alias("value")
    )
    whole = with_availability(frame)
    known = frame.filter(pl.col("reference_ts") <= cut * DAY_NS)
    if known.is_empty():
        return
    part = with_availability(known)
    times = np.array(sorted(data.draw(st.lists(st.integers(10_950 * DAY_NS, (cut + 1) * DAY_NS - 1), min_size=1))))
    series = sorted(set(known["series"]))
    answer = as_of(part.lazy(), times, series=series)
    assert answer.equals(as_of(whole.lazy(), times, series=series))
    for name in series:
        about = answer.drop_nulls(name)
        assert (about[name] <= about["ts"]).all()  # the value is its reference time here


def test_real_factors(shared_data: Path, workspace: Workspace) -> None:
    table = take(workspace, *readers.find_files(shared_data / "external")[0])
    assert table.manifest["rows"] == 135_007 and len(table.symbols) == 50
    at = np.array([parse_time("2024-07-05T12:00"), parse_time("2024-07-05T22:00")])
    answer = as_of(table, at, symbol="BTCUSDT")
    assert answer["VIXCLS"].to_list() == [12.03, 12.26]  # of July 2 and 3
    assert answer["FEDFUNDS"].to_list() == [5.33, 5.33] and answer["FUNDING_RATE"][0] == 0.0001


def test_freshness_limits_are_those_of_the_specification() -> None:
    second = SECOND_NS
    assert [fresh("tick", age * second) for age in (0, 5, 6, 30, 31)] == ["fresh", "fresh", "stale", "stale", "dead"]
    assert [fresh("order_book", age * second) for age in (30, 31)] == ["fresh", "dead"]
    assert [fresh("external_factor", age * second, second) for age in (120, 121)] == ["fresh", "dead"]
    assert [fresh("external_factor", age * DAY_NS, DAY_NS) for age in (2, 3)] == ["fresh", "dead"]
    assert [fresh("forewarner", age * 3600 * second) for age in (6, 7)] == ["fresh", "dead"]
    for kind in ("scan", "log"):
        assert [fresh(kind, age * DAY_NS) for age in (2, 3)] == ["fresh", "dead"]
    assert fresh("scan", -1) == "dead" and set(LIMITS) >= {"tick", "order_book", "external_factor", "forewarner"}


def test_freshness_refuses_what_it_cannot_judge() -> None:
    with pytest.raises(DolphinError, match="did you mean 'tick'"):
        fresh("ticks", 0)
    with pytest.raises(DolphinError, match="needs its period"):
        fresh("external_factor", 0)
