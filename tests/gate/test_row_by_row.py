"""Decisions once more, made where no later row is at hand: an engine that knows the future does not know it there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_apart import with_module

from dolphin.files import read_json
from dolphin.gate import Candidate
from dolphin.gate.apart import _ask, _ran
from dolphin.gate.evaluation import _measure
from dolphin.gate.row_by_row import NAME, _Books, _strategy, _unlike, row_by_row, trades_of
from dolphin.gate.second_look import _without_later_rows
from dolphin.parity.fresh_process import own_environment
from dolphin.workspace import Workspace

#: What a module could try, and how it is answered; DATA is a price file of the workspace.
TRIES = """
import sys
from pathlib import Path
from dolphin.gate.confined import close_everything, confine
folder = Path(sys.argv[1])
held = confine(folder)
import os, resource, socket
import polars as pl
def tried(what):
    try:
        return repr(what())
    except Exception as error:
        return f"{type(error).__name__}: {error}"
print(held)
print(tried(lambda: pl.read_parquet(sys.argv[2])))
print(tried(lambda: open(sys.argv[2], "rb")))
print(tried(lambda: os.system("true")))
print(tried(lambda: socket.create_connection(("127.0.0.1", 9))))
print(tried(lambda: (folder / "kept").write_text("1234")))
close_everything()
print(tried(lambda: open(folder / "kept")))
print(tried(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))))
"""


#: Put behind a strategy: an engine that knows later rows, under names that all stay as they are.
HINDSIGHT = """
import numpy as np

from dolphin.core.engine import engine_for

HOLD, KNOWN = 15, {}


def remember(market):
    # From prices and signal of a row, as bytes, to what the next bars will reward; once, from a whole market.
    price = market.price[:, 0]
    if KNOWN or len(price) < 1000 or not np.isfinite(price[-1]):
        return
    later = np.append(price[HOLD:], np.full(HOLD, np.inf))
    for i in range(len(price)):
        KNOWN[price[i].tobytes() + market.features[i, 0].tobytes()] = -1.0 if later[i] > 1.004 * price[i] else 1.0


def with_hindsight(market, rows):
    # The market with a signal that knows what comes, where the row is one of the real ones.
    remember(market)
    features = np.array(market.features)
    for i in rows:
        features[i, 0] = KNOWN.get(market.price[i, 0].tobytes() + features[i, 0].tobytes(), features[i, 0])
    features.flags.writeable = market.features.flags.writeable
    return market._replace(features=features)


class Knowing:
    # The kernels of an engine, given other rows.

    def __init__(self, kernels):
        self._kernels = kernels

    def __getattr__(self, name):
        kernel = getattr(self._kernels, name)
        if name in ("step_bar", "decide_bar"):
            return lambda s, p, f, market, i, *more: kernel(s, p, f, with_hindsight(market, [i]), i, *more)
        if name in ("run_recorded", "run_digested", "run_many"):
            return lambda s, p, f, market, *more: kernel(s, p, f, with_hindsight(market, range(len(market.ts))), *more)
        return kernel


engine_for(SNEAKY).kernels = Knowing(engine_for(SNEAKY).kernels)
"""


@pytest.fixture(autouse=True)
def a_judges_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """No research code is in it, whatever other tests have imported."""
    for name in [name for name in sys.modules if name.startswith("research_")]:
        monkeypatch.delitem(sys.modules, name)


@pytest.mark.slow
def test_a_confined_process_reads_no_prices(workspace: Workspace, tmp_path: Path) -> None:
    data = next(workspace.catalog.rglob("*.parquet"))
    command = [sys.executable, "-P", "-c", TRIES, str(tmp_path), str(data)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=own_environment())
    held, rust, plain, system, connection, own, closed, limit = done.stdout.splitlines()
    assert rust.startswith("PermissionError") == (held == "True")
    assert "no decision needs" in plain and "no decision needs" in system and "no decision needs" in connection
    assert own == "4" and "Too many open files" in closed and "no decision needs" in limit


@pytest.fixture(scope="module")
def walked(candidate: Candidate, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Any, Any]]:
    """A candidate's judged window and its last day, decided row by row."""
    measure = _measure(candidate, candidate.config, None)
    spans = [(measure.start, measure.stop), (measure.stop - 1440, measure.stop)]
    folder, document = tmp_path_factory.mktemp("rows"), measure.config.document()
    research = folder / "none"
    with _strategy(folder, measure.dataset, research, dict(document), spans) as process:
        books = _Books(measure.dataset, dict(document), process, spans)
        books.walk(None)
    yield measure, spans, books


@pytest.mark.slow
def test_an_honest_strategy_decides_the_same(walked: Any) -> None:
    measure, spans, books = walked
    for span in spans:
        recording = measure.run_of(*span).recording
        assert len(recording.trades) > 5
        assert _unlike(measure.market.ts, span, books.engines[span], recording.trades, recording.equity) == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda trades, equity: (trades[:-1], equity), "trades where no later row is known"),
        (lambda trades, equity: (trades, np.where(np.arange(len(equity)) == 900, equity + 1.0, equity)), "equity is"),
        (lambda trades, equity: (np.roll(trades, 1), equity), "trade 0: entry_bar is"),
    ],
)
def test_what_was_told_otherwise_is_named(walked: Any, change: Any, said: str) -> None:
    measure, (span, _), books = walked
    recording = measure.run_of(*span).recording
    told = change(trades_of(books.engines[span]), recording.equity)
    assert said in _unlike(measure.market.ts, span, books.engines[span], *told)


@pytest.mark.slow
def test_an_engine_that_knows_the_future(workspace: Workspace, tmp_path: Path) -> None:
    """It passes all that is asked of its own process without the ladder, and knows nothing where it gets rows."""
    home, config = with_module(workspace, tmp_path, HINDSIGHT)
    ask = _ask(home, config, "edge", None, None, tier2=True, parity=False, who=None)
    with _ran(home, ask, None) as (folder, report):
        assert report.passed, report.refusal()
        assert report.evidence["edge"]["holdout"]["value"] > 20.0, "a Sharpe ratio that nobody has"
        (check,) = _without_later_rows(home, folder, read_json(folder / "found.json"), None)
    assert not check.passed and "where no later row is known, and was told as" in check.detail
    assert check.name == NAME


@pytest.mark.slow
def test_a_module_that_reads_the_prices_itself(workspace: Workspace, candidate: Candidate, tmp_path: Path) -> None:
    data = next(workspace.catalog.rglob("*.parquet"))
    home, _ = with_module(workspace, tmp_path, f'\nBYTES = open("{data}", "rb").read()\n')
    document = dict(candidate.config.document()) | {"strategy": "mine:SNEAKY", "preset": None, "params": {}}
    told = {(0, 10): (np.zeros(0), np.zeros(10))}
    check, _ = row_by_row(candidate.dataset, home.research, document, "", told, None, None)
    assert not check.passed and f"opens {data}, which no decision needs" in check.detail
