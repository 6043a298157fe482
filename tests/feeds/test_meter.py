"""The five figures live are those of research from a recording of the same messages."""

from __future__ import annotations

import gzip
import json
import random

import numpy as np
import polars as pl
import pytest

from dolphin.feeds.meter import Books
from dolphin.market.book_series import SERIES, make_books
from dolphin.times import SECOND_NS
from dolphin.workspace import create

START = 1_800_000_000 * SECOND_NS


def test_figures_are_those_of_a_recording(tmp_path) -> None:  # type: ignore[no-untyped-def]
    rng, books, found, lines = random.Random(4), Books(SECOND_NS), [], []
    now, update = START, 0
    for _ in range(2600):
        now += int(rng.expovariate(1 / 0.15) * SECOND_NS)
        found += books.due(now)
        if rng.random() < 0.7:
            update += 1
            b, sizes = round(100 + rng.random(), 1), (round(rng.random() * 5, 3), round(rng.random() * 5, 3))
            books.of("BTCUSDTPERP").quote(update, b, sizes[0], b + 0.1, sizes[1])
            data = {"e": "bookTicker", "u": update, "s": "BTCUSDT", "b": f"{b}", "B": f"{sizes[0]}",
                    "a": repr(b + 0.1), "A": f"{sizes[1]}", "E": START // 10**6}  # fmt: skip
        else:
            q = round(rng.random(), 3)
            books.of("BTCUSDTPERP").traded += q
            data = {"e": "trade", "s": "BTCUSDT", "q": f"{q}", "p": "1", "E": START // 10**6}
        lines.append(f"{now} " + json.dumps({"stream": "x", "data": data}))
    found += books.due(now + SECOND_NS)
    path = tmp_path / "recorded.gz"
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    table = make_books(create(tmp_path / "home"), "books", [path]).frame().collect()
    fields = ("imbalance", "spread_bps", "fill_prob", "depth_quality", "agreement")
    for series, name in zip(SERIES, fields, strict=True):
        want = table.filter(pl.col("series") == series).select("reference_ts", "value")
        have = [(r.ts, getattr(r.book, name)) for r in found if np.isfinite(getattr(r.book, name))]
        assert [ts for ts, _ in have] == want["reference_ts"].to_list(), series
        assert np.abs(np.array([value for _, value in have]) - want["value"].to_numpy()).max() < 1e-9, series
    assert len(found) > 300  # the window of five minutes is full, and moves


def test_intervals_without_a_quote_have_no_record() -> None:
    books = Books(5 * SECOND_NS)
    assert books.due(START + 1) == []
    books.of("A").quote(1, 1.0, 1.0, 1.1, 3.0)
    books.of("B").traded = 2.0
    (record,) = books.due(START + 5 * SECOND_NS)
    assert (record.symbol, record.ts, record.book.imbalance) == ("A", START + 5 * SECOND_NS, -0.5)
    assert record.book.spread_bps == pytest.approx(0.1 / 1.05 * 1e4)
    assert books.due(START + 20 * SECOND_NS) == [] and books.latest["A"] is record
