"""From recorded trades to bars, and external factors, as a user would."""

from __future__ import annotations

from pathlib import Path

from command_line import dolphin


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
