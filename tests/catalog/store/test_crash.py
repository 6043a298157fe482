"""kill -9 at random moments of everything that writes data: what is there verifies, a rerun completes."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from thorough import rounds

from dolphin.catalog import import_klines
from dolphin.workspace import Workspace, create

NURSERY = Path(__file__).with_name("crash_nursery.py")
MINUTE = 60_000  # ms
SYMBOLS = ("ADAUSDT", "BTCUSDT", "ETHUSDT")
KILLS = rounds(40, 8)  # of each of five

Ask = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="module")
def ask() -> Iterator[Ask]:
    """Have jobs done by children of a process that has imported everything already."""
    # One thread of linear algebra: none runs when the process forks.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore::DeprecationWarning"}
    process = subprocess.Popen(
        [sys.executable, str(NURSERY)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdin and process.stdout
    assert json.loads(process.stdout.readline()) == "ready"

    def run(*jobs: dict[str, Any], after: float | None = None) -> list[dict[str, Any]]:
        assert process.stdin and process.stdout
        process.stdin.write(json.dumps({"jobs": jobs, "after": after}) + "\n")
        process.stdin.flush()
        answers: list[dict[str, Any]] = json.loads(process.stdout.readline())
        return answers

    yield run
    process.stdin.close()
    process.wait(30)
    process.stdout.close()


def write_source(folder: Path, changed: bool = False, bars: int = 3 * 1440) -> Path:
    """Days of minutes, a file per symbol; ``changed``: one price of the third day is another."""
    rng = np.random.default_rng(7)
    folder.mkdir()
    for symbol in SYMBOLS:
        cents = 10_000 + np.cumsum(rng.integers(-20, 21, 3 * 1440 + 1))[: bars + 1]
        first, last = cents[:-1] / 100, cents[1:] / 100
        high = np.maximum(first, last)
        if changed and symbol == "ETHUSDT":
            high[2900] += 0.01
        columns = {"open": first, "high": high, "low": np.minimum(first, last), "close": last}
        ts = 1_735_689_600_000 + MINUTE * np.arange(bars)
        frame = pl.DataFrame({"symbol": [symbol] * bars, "ts": ts, **columns, "volume": np.ones(bars)})
        frame.write_parquet(folder / f"{symbol}.parquet")
    return folder


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("sources")
    begun = write_source(root / "begun", bars=4000)  # ends within the last day
    return {"a": write_source(root / "a"), "b": write_source(root / "b", changed=True), "begun": begun}


@pytest.fixture(scope="module")
def digests(sources: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each source's dataset must be, however often it was interrupted."""
    made = {}
    for name, source in sources.items():
        home = create(tmp_path_factory.mktemp(f"whole-{name}") / "home")
        made[name] = import_klines(home, source, "k").dataset.digest
    assert len(set(made.values())) == 3
    return made


def job(do: str, home: Workspace, source: Path | None = None) -> dict[str, Any]:
    """``do`` names what is done one after the other."""
    return {"do": do.split(), "home": str(home.root), "source": str(source)}


def only(answers: list[dict[str, Any]]) -> Any:
    """The results of the one job, which was done; the result if it did one thing."""
    assert len(answers) == 1 and answers[0]["state"] == "done", answers
    results = answers[0]["result"]
    return results[0] if len(results) == 1 else results


def leftovers(home: Workspace) -> list[str]:
    """Temporary files and folders; locks may stay: they are empty, and one whose holder died means nothing."""
    hidden = [path for path in home.catalog.rglob(".*") if not path.name.endswith(".lock")]
    return sorted(str(path.relative_to(home.catalog)) for path in hidden)


#: What is killed: the job, its source, the jobs before it, and the digests that may hold after a kill.
STEPS: dict[str, tuple[str, str, list[tuple[str, str]], tuple[str, ...]]] = {
    "import": ("import", "a", [], ("", "a")),
    "rebuild": ("import", "b", [("import", "a"), ("scan", "a")], ("a", "b")),
    "scan": ("scan", "a", [("import", "a")], ("a",)),
    "scan of a longer day": ("scan", "a", [("import", "begun"), ("scan", "begun"), ("import", "a")], ("a",)),
    "cache": ("cache", "a", [("import", "a"), ("scan", "a")], ("a",)),
}


@pytest.mark.slow
@pytest.mark.parametrize("step", sorted(STEPS))
def test_killed_at_random_moments(
    step: str, ask: Ask, sources: dict[str, Path], digests: dict[str, str], tmp_path: Path
) -> None:
    do, source, before, allowed = STEPS[step]
    template = create(tmp_path / "template")
    for what, name in before:
        only(ask(job(what, template, sources[name])))
    if step == "cache":
        shutil.rmtree(template.catalog / "cache")
    whole = create(Path(shutil.copytree(template.root, tmp_path / "whole")))
    expected = only(ask(job(do, whole, sources[source])))
    shutil.rmtree(whole.root)
    shutil.copytree(template.root, whole.root)
    seconds = ask(job(do, whole, sources[source]))[0]["seconds"]  # the second time nothing is imported anew

    draw, killed = random.Random(step), 0
    for _ in range(4 * KILLS):
        home = Workspace(Path(shutil.copytree(template.root, tmp_path / "home")))
        # Evenly over the duration, so that every phase is met.
        after = seconds * (killed + draw.random()) / KILLS
        answer = ask(job(do, home, sources[source]), after=after)[0]
        assert answer["state"] in ("killed", "done"), answer
        if answer["state"] == "done":  # the machine is quicker than before
            seconds = min(seconds, answer["seconds"])
            shutil.rmtree(home.root)
            continue
        killed += 1
        found, again, finally_ = only(ask(job(f"check {do} check", home, sources[source])))
        assert found["problems"] == [], (after, found)
        assert found["digest"] in [digests[name] if name else None for name in allowed]
        if step == "rebuild":
            assert (home.catalog / "bars" / "k" / digests["a"][:16] / "manifest.json").is_file()
        assert again == expected
        assert finally_ == {"problems": [], "digest": digests[source]}
        assert leftovers(home) == []
        shutil.rmtree(home.root)
        if killed == KILLS:
            return
    raise AssertionError(f"killed at work only {killed} times")


@pytest.mark.slow
def test_two_imports_of_one_name_at_once(
    ask: Ask, sources: dict[str, Path], digests: dict[str, str], tmp_path: Path
) -> None:
    """One of them writes, the other is told to wait; whatever the order, the result verifies."""
    told = 0
    for round_ in range(rounds(10, 4)):
        home = create(tmp_path / f"{round_}")
        two = ask(job("import", home, sources["a"]), job("import", home, sources["b"]))
        done = [name for name, answer in zip("ab", two, strict=True) if answer["state"] == "done"]
        assert done, two
        for answer in two:
            if answer["state"] != "done":
                assert answer["state"] == "refused" and "another process is writing" in answer["result"], answer
                told += 1
        found = only(ask(job("check", home)))
        assert found["problems"] == [] and found["digest"] in [digests[name] for name in done]
        assert leftovers(home) == []
        shutil.rmtree(home.root)
    assert told, "they never met"


@pytest.mark.slow
def test_two_cache_builders_and_scanners_at_once(ask: Ask, sources: dict[str, Path], tmp_path: Path) -> None:
    home = create(tmp_path / "home")
    only(ask(job("import", home, sources["a"])))
    one, two = ask(job("cache", home), job("cache", home))
    assert (one["state"], two["state"]) == ("done", "done"), (one, two)
    assert one["result"] == two["result"]
    assert only(ask(job("check", home)))["problems"] == []
    assert leftovers(home) == []
