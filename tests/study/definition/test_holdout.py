"""``[holdout]`` of a study file: read to the letter, and put on the rows of the data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dolphin.errors import DolphinError
from dolphin.study.definition.spec import read_study

BASE = 'dataset = "m"\ntrials = 8\n{extra}\n[search]\ntp_pct = {{ low = 0.001, high = 0.01 }}\n{holdout}'
DAY_NS = 86_400 * 10**9
TS = np.arange(1, 101) * DAY_NS // 4  # 25 days, a close at every sixth hour


def study(tmp_path: Path, holdout: str, extra: str = ""):
    path = tmp_path / "s.toml"
    path.write_text(BASE.format(holdout=f"[holdout]\n{holdout}" if holdout else "", extra=extra))
    return read_study(path)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("days = 5", (80, 100)),
        ('from = "1970-01-21"', (79, 100)),
        ("from = 1970-01-21\nto = 1970-01-22", (79, 83)),
    ],
)
def test_rows(tmp_path: Path, text: str, rows: tuple[int, int]) -> None:
    found = study(tmp_path, text).holdout
    assert found is not None and found.rows(TS, DAY_NS // 4, "s") == rows


def test_it_is_part_of_what_the_study_is(tmp_path: Path) -> None:
    plain, five, six = (study(tmp_path, text) for text in ("", "days = 5", "days = 6"))
    assert plain.holdout is None and len({plain.hash, five.hash, six.hash}) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("days = 0", "days = 0 must be a whole number from 1"),
        ("day = 5", "unknown key 'day'; did you mean 'days'"),
        ("", "needs either 'from' (and 'to') or 'days'"),
        ('days = 5\nto = "1970-01-22"', "needs either"),
        ('from = "some day"', "some day"),
    ],
)
def test_a_wrong_one_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "s.toml"
    path.write_text(BASE.format(holdout=f"[holdout]\n{text}", extra=""))
    with pytest.raises(DolphinError) as caught:
        read_study(path)
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["days = 25", 'from = "1980-01-01"', 'from = "1960-01-01"'])
def test_data_without_such_bars_is_refused(tmp_path: Path, text: str) -> None:
    found = study(tmp_path, text).holdout
    assert found is not None
    with pytest.raises(DolphinError, match="must leave bars before it"):
        found.rows(TS, DAY_NS // 4, "s")
