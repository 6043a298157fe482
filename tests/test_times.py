from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolphin.errors import DolphinError
from dolphin.times import (
    DAY_NS,
    days_between,
    format_day,
    format_spacing,
    format_time,
    parse_spacing,
    parse_time,
)


@pytest.mark.parametrize(
    ("text", "seconds"), [("5s", 5), ("1m", 60), ("5m", 300), ("1h", 3600), ("1d", 86400), ("15m", 900)]
)
def test_spacing_there_and_back(text: str, seconds: int) -> None:
    assert parse_spacing(text) == seconds * 10**9
    assert format_spacing(seconds * 10**9) == text


def test_spacing_takes_the_largest_unit() -> None:
    assert format_spacing(parse_spacing("60s")) == "1m"
    assert format_spacing(parse_spacing("500ms")) == "500ms"


@pytest.mark.parametrize("text", ["", "5", "m", "0s", "-1m", "7s", "5 m", "1.5h", "2d", "14d", "1w"])
def test_what_is_no_spacing(text: str) -> None:
    with pytest.raises(DolphinError, match="no bar spacing"):
        parse_spacing(text)


def test_times_are_utc_unless_they_say_otherwise() -> None:
    midnight = 1_735_689_600 * 10**9
    assert parse_time("2025-01-01") == midnight
    assert parse_time("2025-01-01T00:00:00Z") == midnight
    assert parse_time("2025-01-01T00:00:00") == midnight
    assert parse_time("2025-01-01T02:00:00+02:00") == midnight
    assert parse_time("2025-01-01T00:00:00.000005") == midnight + 5000
    assert format_time(midnight) == "2025-01-01T00:00:00Z"


@pytest.mark.parametrize("text", ["yesterday", "2025-13-01", "01/02/2025", ""])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(DolphinError, match="no time"):
        parse_time(text)


@given(st.integers(min_value=0, max_value=4 * 10**18))
def test_time_there_and_back(ts: int) -> None:
    assert parse_time(format_time(ts)) == ts
    micro = ts - ts % 1000
    assert parse_time(format_time(micro)) == micro


def test_a_time_is_written_as_fine_as_it_is() -> None:
    midnight = parse_time("2025-01-01")
    assert format_time(midnight + 500 * 10**6) == "2025-01-01T00:00:00.500000Z"
    assert format_time(midnight + 1) == "2025-01-01T00:00:00.000000001Z"
    assert format_time(-1) == "1969-12-31T23:59:59.999999999Z"
    assert parse_time("2025-01-01T02:00:00.25+02:00") == midnight + 250 * 10**6
    with pytest.raises(DolphinError, match="no time"):
        parse_time("2025-01-01T00:00:00.1x")


def test_midnight_belongs_to_the_new_day() -> None:
    midnight = parse_time("2025-01-02")
    assert [format_day(d) for d in days_between(midnight - 1, midnight)] == ["2025-01-01", "2025-01-02"]
    assert len(days_between(midnight, midnight + DAY_NS - 1)) == 1
