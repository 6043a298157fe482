"""One flipped byte anywhere in a stored file: whoever reads it says so in one line that names the file."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import STUDY, Answer, dolphin, tree
from thorough import thorough

Call = Callable[..., Answer]
PLACES = 6


@pytest.fixture(scope="module")
def studied(pristine: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workspace with a study of 20 trials and a stress test."""
    home = Path(shutil.copytree(pristine, tmp_path_factory.mktemp("studied") / "home"))
    (home / "study.toml").write_text(STUDY.format(trials=20))
    assert dolphin(home, "sweep", home / "study.toml").code == 0
    stress = ("stress", "m", "--config", home / "config.toml", "--out", home / "runs" / "stress", "--runs", 1)
    assert dolphin(home, *stress).code == 0
    return home


def flips(path: Path, seed: str) -> list[bytes]:
    """The file's bytes with one bit of one byte turned, at places drawn from the seed, and at both ends."""
    data, draw = path.read_bytes(), random.Random(seed)
    places = [0, len(data) - 1, *(draw.randrange(len(data)) for _ in range(PLACES))]
    return [data[:at] + bytes([data[at] ^ (1 << draw.randrange(8))]) + data[at + 1 :] for at in places]


RUN = ("run.json", "config.json", "metrics.json", "trades.parquet", "equity.parquet", "digests.parquet")


@pytest.mark.parametrize("file", thorough(["manifest.json", *RUN]))
def test_of_a_run(studied: Path, tmp_path: Path, call: Call, file: str) -> None:
    folder = Path(shutil.copytree(studied / "runs" / "run", tmp_path / "run"))
    for k, data in enumerate(flips(folder / file, file)):
        (folder / file).write_bytes(data)
        before = tree(tmp_path)
        for words in (
            ("report", folder, "--out", tmp_path / "x.html"),
            *([("gate", folder)] if k == 0 else []),  # which reads it by the same function, in a process of its own
            ("parity", folder, studied / "runs" / "run"),
            ("data", "lineage", folder),
        ):
            done = call(studied, *words)
            assert done.code == 2 and done.out == "" and str(folder / file) in done.complaint, words
        assert tree(tmp_path) == before


@pytest.mark.parametrize("file", thorough(["stress.json", "stress.parquet", "manifest.json"]))
def test_of_a_stress_test(studied: Path, tmp_path: Path, call: Call, file: str) -> None:
    folder = Path(shutil.copytree(studied / "runs" / "stress", tmp_path / "stress"))
    for data in flips(folder / file, file):
        (folder / file).write_bytes(data)
        done = call(studied, "report", folder, "--out", tmp_path / "x.html")
        assert done.code == 2 and str(folder / file) in done.complaint


@pytest.mark.parametrize("file", ["study.json", "manifest.json"])
def test_of_a_study(studied: Path, tmp_path: Path, call: Call, file: str) -> None:
    home = Path(shutil.copytree(studied, tmp_path / "home"))
    path = home / "experiments" / "study" / file
    for data in flips(path, file):
        path.write_bytes(data)
        done = call(home, "report", "study", "--out", tmp_path / "x.html")
        assert done.code == 2 and str(path) in done.complaint
    path.write_bytes((studied / "experiments" / "study" / file).read_bytes())
    assert call(home, "report", "study", "--out", tmp_path / "x.html").code == 0


@pytest.mark.parametrize(
    ("pattern", "query"),
    [
        ("bars/m/*/*/date=2025-01-02.parquet", "select sum(close) from m"),
        ("scans/m/2025-01-02.parquet", "select sum(vel_div) from m_scan"),
        ("scans/m/detail/2025-01-02.parquet", "select count(*) from m_detail"),
        ("../experiments/registry/000001.parquet", "select count(*) from trials"),
    ],
)
def test_of_what_a_query_reads(studied: Path, tmp_path: Path, call: Call, pattern: str, query: str) -> None:
    home = Path(shutil.copytree(studied, tmp_path / "home"))
    found = list((home / "data_catalog").glob(pattern))
    assert len(found) == 1
    path = found[0].resolve()
    assert call(home, "sql", query).code == 0
    whole = path.read_bytes()
    for data in flips(path, pattern):
        path.write_bytes(data)
        done = call(home, "sql", query)
        assert done.code == 2 and done.out == "" and str(path) in done.complaint
    path.write_bytes(whole)
    assert call(home, "sql", query).code == 0
