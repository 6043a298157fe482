"""Five seeded differences: first bar, stage, fields, cause class and verdict of each, in words and on the page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from exchange_for_tests import CONFIG, Session, market_of
from ladder_cases import case_of

from dolphin.core.logarithm import ln_array
from dolphin.journal import Journal
from dolphin.journal.of_run import write_run_journal
from dolphin.parity.case import Case
from dolphin.parity.divergence import Comparison, compare
from dolphin.parity.journal_side import JournalSide
from dolphin.report import write_parity_page
from dolphin.strategies.vel_div import VEL_DIV

RISK_ROW, DROPPED = 120, 150


@pytest.fixture(scope="module")
def case() -> Case:
    return case_of(VEL_DIV)


def written(case: Case, path: Path, market=None) -> JournalSide:
    market = case.market if market is None else market
    write_run_journal(path, case.dataset, market, case.config, case.start, min(case.stop, len(market.ts)), {})
    return JournalSide(Journal(path), config=case.config)


def told(found: Comparison, folder: Path) -> str:
    """The page; it says what the comparison says."""
    page = folder / "parity.html"
    write_parity_page(found.as_dict(), page)
    text = page.read_text(encoding="utf-8")
    for words in (f"{found.bar:,}", found.time, found.stage, found.cause):
        assert str(words) in text
    if found.later is not None:
        assert found.later.verdict in text
    return text


def differing(found: Comparison) -> set[str]:
    return {f.name for f in found.fields if not f.equal}


def test_a_price(case, tmp_path):
    order = case.trace.fills[0]
    row, asset = int(order["bar"]), int(order["asset"])
    price = case.market.price.copy()
    price[row, asset] += 40 * case.market.instruments["tick"][asset]
    market = case.market._replace(price=price, log_price=ln_array(price))
    found = compare(written(case, tmp_path / "a"), written(case, tmp_path / "b", market))
    symbol = case.dataset.symbols[asset]
    assert (found.row, found.stage, found.cause) == (row, "data", "different input")
    assert any(symbol in name for name in differing(found))
    assert found.input is not None and (found.input.row, found.input.name) == (row, f"price of {symbol}")
    assert found.later is not None and found.later.verdict == "one cause", found.later
    assert symbol in told(found, tmp_path)


def test_a_field_of_the_config(case, tmp_path):
    other = replace(case, config=case.config.with_values({"tp_pct": 0.5 * case.config.params.tp_pct}))
    found = compare(written(case, tmp_path / "a"), written(other, tmp_path / "b"))
    expected = case.start + int(np.argmax(case.batch.digests != other.batch.digests))
    assert (found.row, found.stage, found.cause) == (expected, "intent", "different config")
    assert any(note.startswith("params.tp_pct") for note in found.notes)
    assert "params.tp_pct" in told(found, tmp_path)


def test_a_fill_that_moved(tmp_path):
    market = market_of(11)
    Session(market, 11).run(tmp_path / "a", write_ahead=False)
    Session(market, 11, slipped=(20, 1e-4)).run(tmp_path / "b", write_ahead=False)
    found = compare(*(JournalSide(Journal(tmp_path / name), config=CONFIG) for name in "ab"))
    assert found.cause == "different fill" and found.row is not None and found.row >= 20
    assert found.later is not None and found.later.verdict in ("several causes", "not known")
    told(found, tmp_path)


def test_a_later_risk_input(case, tmp_path):
    risk = case.market.risk.copy()
    risk["rm"][RISK_ROW] = 0.25
    found = compare(written(case, tmp_path / "a"), written(case, tmp_path / "b", case.market._replace(risk=risk)))
    assert (found.row, found.stage, found.cause) == (RISK_ROW, "risk", "different input")
    assert {"rm"} <= {name.lower() for name in differing(found)}
    assert found.later is not None and found.later.verdict == "one cause"
    told(found, tmp_path)


def test_a_dropped_bar(case, tmp_path):
    kept = np.arange(len(case.market.ts)) != DROPPED
    market = case.market._replace(**{name: values[kept] for name, values in case.market.by_row().items()})
    found = compare(written(case, tmp_path / "a"), written(case, tmp_path / "b", market))
    assert (found.bar, found.stage, found.cause) == (DROPPED - case.start, "data", "missing bar")
    assert found.later is not None and found.later.verdict == "not known"
    told(found, tmp_path)
