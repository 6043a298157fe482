"""From recorded trades to bars, and external factors, as a user would."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import dolphin


@pytest.mark.slow
def test_recorded_trades_become_bars(shared_data: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    done = dolphin(home, "data", "import", shared_data / "books", "--name", "btc_ticks")
    assert done.code == 0, done.err
    made = dolphin(home, "data", "bars", "btc_ticks", "--name", "b", "--spacing", "1s", "--json")
    assert made.code == 0, made.err
    assert (made.json["rows"], made.json["tick count"], made.json["unchanged"]) == (689, 31_070, False)
    assert dolphin(home, "data", "verify", "btc_ticks").code == dolphin(home, "data", "verify", "b").code == 0
    wrong = dolphin(home, "data", "bars", "b", "--name", "c", "--spacing", "1s")
    assert wrong.code == 2 and "holds bars, no table" in wrong.complaint
    odd = dolphin(home, "data", "bars", "btc_ticks", "--name", "c", "--spacing", "7s")
    assert odd.code == 2 and "is no bar spacing" in odd.complaint


def test_a_series_of_ones_own_needs_its_lag(tmp_path: Path) -> None:
    home, file = tmp_path / "home", tmp_path / "CPI.csv"
    file.write_text("date,value\n2024-01-01,3.1\n2024-02-01,3.2\n")
    refused = dolphin(home, "data", "import", file, "--name", "cpi")
    assert refused.code == 2 and "--lag CPI=2d" in refused.complaint
    wrong = dolphin(home, "data", "import", file, "--name", "cpi", "--lag", "CPI14d")
    assert wrong.code == 2 and "SERIES=DURATION" in wrong.complaint
    assert dolphin(home, "data", "import", file, "--name", "cpi", "--lag", "CPI=14d").code == 0
    (home / "data_catalog" / "cpi2.toml").write_text(f'source = "{file}"\n[lags]\nCPI = "14d"\n')
    assert dolphin(home, "data", "build", "cpi2").code == 0
    query = "select utc(available_ts) from {} order by 1"
    answers = [dolphin(home, "sql", query.format(name), "--format", "csv").out for name in ("cpi", "cpi2")]
    assert answers[0] == answers[1] and "2024-01-15T00:00:00Z" in answers[0]
