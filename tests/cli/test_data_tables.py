from __future__ import annotations

from pathlib import Path

from command_line import dolphin

ROWS = "".join(f"{day:02d}.01.2024;{day},5;{day}\n" for day in range(1, 21))


def test_a_table_is_shown_before_it_is_taken(tmp_path: Path) -> None:
    home, file = tmp_path / "home", tmp_path / "GOLD.csv"
    file.write_text(f"Datum;Schluss;Extra\n{ROWS}")
    columns = "time=Datum,close=Schluss"
    shown = dolphin(home, "data", "import", file, "--name", "gold", "--columns", columns, "--dry-run", "--json")
    (one,) = shown.json["files"]
    assert (shown.code, one["rows"], one["spacing"], one["symbols"]) == (0, 20, "1d", ["GOLD"])
    assert one["facts"]["left out"] == "'Extra'" and not list((home / "data_catalog").glob("*.json"))
    told = dolphin(home, "data", "import", file, "--name", "gold", "--columns", columns)
    assert told.code == 0 and "it has closes alone" in told.out
    wrong = dolphin(home, "data", "import", file, "--name", "gold", "--columns", "close")
    assert wrong.code == 2 and "ROLE=COLUMN" in wrong.complaint
    absent = dolphin(home, "data", "import", file, "--name", "gold", "--columns", "time=Datm")
    assert absent.code == 2 and "no column 'Datm'; did you mean 'Datum'" in absent.complaint
