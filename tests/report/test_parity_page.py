"""The page of a comparison."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go
import pytest
from exchange_for_tests import CONFIG, Session, market_of
from test_sheet import Page

from dolphin.errors import DolphinError
from dolphin.journal import Journal
from dolphin.parity.divergence import compare
from dolphin.parity.journal_side import JournalSide
from dolphin.report import parity_page, write_parity_page


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder, market = tmp_path_factory.mktemp("sides"), market_of(11)
    Session(market, 11).run(folder / "a<b", write_ahead=False)
    Session(market, 11, slipped=(20, 1e-4)).run(folder / "b", write_ahead=False)
    return compare(*(JournalSide(Journal(folder / name), config=CONFIG) for name in ("a<b", "b"))).as_dict()


def test_the_picture_is_plotly_and_the_page_calls_nobody(document: dict[str, Any]) -> None:
    made = parity_page(document)
    page = Page(made)
    assert "default-src 'none'" in made and "<link" not in made and len(made.encode()) < 1_500_000
    assert set(page.figures) == {"around"}
    figure = page.figures["around"]
    go.Figure({"data": figure["data"], "layout": figure["layout"]})
    assert figure["data"][0]["y"] == document["around"][0]["equity"]
    assert "a&lt;b" in made and "DIFFERS" in page.text
    assert ("SYNTHETIC DATA" in page.text) == document["synthetic"]
    assert "SYNTHETIC DATA" in Page(parity_page(document | {"synthetic": True})).text


def test_the_words_and_every_field_are_there(document: dict[str, Any]) -> None:
    page = Page(parity_page(document))
    assert document["sentence"] in page.text and "different fill" in page.text
    shown = page.tables[-2]
    assert len(shown) - 1 == len(document["fields"])
    assert len(page.tables[-1]) - 1 == len(document["around"][0]["bars"])


def test_equal_sides_need_no_picture(document: dict[str, Any], tmp_path) -> None:
    equal = dict.fromkeys(document) | {
        "equal": True, "sentence": "all equal", "bars": 3, "sides": ["a", "b"], "fields": [], "notes": [],
    }  # fmt: skip
    write_parity_page(equal, tmp_path / "p.html")
    page = Page((tmp_path / "p.html").read_text())
    assert "EQUAL" in page.text and page.figures == {}
    with pytest.raises(DolphinError, match="is a folder"):
        write_parity_page(equal, tmp_path)
