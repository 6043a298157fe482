"""What a journal costs and how fast it is read: a bar written, bars replayed, two journals of a million bars compared.

Run ``python -m benchmarks.journal``. 50 assets, ``vel_div``. A bar is written as a live session does it (its own
record, handed to the system, not synced), against one pyarrow record batch per bar with the same columns. The
journals of a million bars lie in the temporary folder (2.2 GB each) and in the page cache.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.table import Row, show
from dolphin.catalog import Dataset, Instrument
from dolphin.config import Config, parse_config
from dolphin.core.logarithm import ln_array
from dolphin.core.records import Market, neutral_risk
from dolphin.journal import Journal, JournalWriter, SessionJournal, replay
from dolphin.journal.header import header_of, shape_for
from dolphin.journal.of_run import write_run_journal
from dolphin.journal.schema import Shape
from dolphin.market.assemble import instrument_records
from dolphin.parity.divergence import compare

ASSETS, BARS, MANY, ROUNDS = 50, 20_000, 1_000_000, 5
CONFIG = {"params": {"vol_gate_mode": "off", "direction": "bidirectional", "rank_lookback": 20}}
SPACING = 5_000_000_000


def market_of(bars: int, seed: int = 1) -> Market:
    """Walks on a grid of cents, a signal that trades now and then."""
    rng = np.random.default_rng(seed)
    price = np.empty((bars, ASSETS))
    last = np.full(ASSETS, 10_000)
    for low in range(0, bars, 65_536):  # memory
        steps = rng.integers(-9, 10, (min(65_536, bars - low), ASSETS), np.int32)
        walk = last + np.cumsum(steps, axis=0)
        price[low : low + len(steps)] = np.maximum(walk, 100) / 100
        last = walk[-1]
    features = np.column_stack([0.011 * rng.standard_normal(bars), np.full(bars, 1e-4)])
    ts = 1_735_689_600_000_000_000 + SPACING * np.arange(1, bars + 1)
    age = np.zeros(price.shape, np.int32)
    return Market(ts, price, ln_array(price), age, features, neutral_risk(bars), instrument_records(instruments()))


def instruments() -> tuple[Instrument, ...]:
    """Ticks of a cent, lots of a thousandth."""
    return tuple(Instrument(f"A{k:02}USDT", 2, 1, 2, 1, 3, 5.0) for k in range(ASSETS))


def dataset_of(market: Market) -> Dataset:
    """What a header says of the data."""
    return Dataset(
        name="bench", digest="0" * 64, spacing_ns=SPACING, symbols=tuple(i.symbol for i in instruments()),
        reference="A00USDT", instruments=instruments(), synthetic=True, source="benchmark", n_bars=len(market.ts),
        first_ts=int(market.ts[0]), last_ts=int(market.ts[-1]), root=Path("unused"), manifest={},
    )  # fmt: skip


def writing(folder: Path, market: Market, config: Config) -> list[Row]:
    """Microseconds per bar: ours, flushed with each; a batch per bar through pyarrow's own writer."""
    ours, ahead, peer = [], [], []
    for k in range(ROUNDS):
        ours.append(_written(folder / f"bar{k}", market, config, write_ahead=False))
        ahead.append(_written(folder / f"row{k}", market, config, write_ahead=True))
        peer.append(_through_pyarrow(folder / f"arrow{k}", market, shape_for(market, config)))
    synced = _written(folder / "synced", market, config, write_ahead=False, policy="bar", bars=500)
    a, b, c = (np.array(x) for x in (ours, ahead, peer))
    name = "a bar written and flushed / one pyarrow batch"
    medians = {"": np.median(a), ", inputs ahead of the decision": np.median(b), ", synced to the disk": synced}
    return [
        Row(name + what, float(ours), float(np.median(c)), float(np.median(c) / ours), "us/bar")
        for what, ours in medians.items()
    ]


def _written(
    path: Path, market: Market, config: Config, *, write_ahead: bool, policy: str = "never", bars: int = BARS
) -> float:
    header = header_of(dataset_of(market), market, config, 0, session="bench", versions={}, write_ahead=write_ahead)
    writer = JournalWriter(path, shape_for(market, config), header, policy=policy, clock=time.time_ns)
    journal = SessionJournal(writer, write_ahead=write_ahead)
    state = config.engine.new_state(ASSETS, 25_000.0)
    stages = np.arange(6, dtype=np.uint64)
    began = time.perf_counter()
    for bar in range(bars):
        journal.opened(market, bar)
        journal.decided(state, bar)
        journal.closed(market, state, bar, stages)
    seconds = time.perf_counter() - began
    writer.close()
    path.unlink()
    return 1e6 * seconds / bars


def _through_pyarrow(path: Path, market: Market, shape: Shape) -> float:
    kinds = [("bar", pa.int64()), ("ts", pa.int64()), ("digest", pa.uint64())]
    kinds += [(n, pa.list_(pa.float64())) for n in ("price", "features", "risk", "account")]
    kinds += [("age", pa.list_(pa.int32())), ("stages", pa.list_(pa.uint64()))]
    schema = pa.schema(kinds)
    began = time.perf_counter()
    with path.open("wb") as sink, pa.ipc.new_stream(sink, schema) as stream:
        for bar in range(BARS):
            lists = (
                market.price[bar],
                market.features[bar],
                np.zeros(4),
                np.zeros(4),
                market.age[bar],
                np.zeros(6, np.uint64),
            )
            arrays = [pa.array([value]) for value in (bar, int(market.ts[bar]))] + [pa.array([7], pa.uint64())]
            for field, values in zip(list(schema)[3:], lists, strict=True):
                arrays.append(
                    pa.ListArray.from_arrays(pa.array([0, len(values)], pa.int32()), pa.array(values), type=field.type)
                )
            stream.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
            sink.flush()
    seconds = time.perf_counter() - began
    path.unlink()
    return 1e6 * seconds / BARS


def reading(folder: Path, config: Config) -> list[Row]:
    """Replay, and the report on two journals that part in the middle, of a million bars."""
    market = market_of(MANY)
    dataset, left, right = dataset_of(market), folder / "a.arrow", folder / "b.arrow"
    write_run_journal(left, dataset, market, config, 0, MANY, {})
    features = market.features.copy()
    features[MANY // 2 :: 100_000, 0] = -0.05
    write_run_journal(right, dataset, market._replace(features=features), config, 0, MANY, {})
    del market, features
    journal = Journal(left)
    replay(journal, config=config)  # compiles, and warms the page cache
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        found = replay(journal, config=config)
        seconds.append(time.perf_counter() - began)
        assert found.equal, found.sentence
    compare(left, right)
    reports = []
    for _ in range(3):
        began = time.perf_counter()
        told = compare(left, right)
        reports.append(time.perf_counter() - began)
        assert told.bar == MANY // 2, told.sentence
    rate = MANY / float(np.median(seconds))
    report = float(np.median(reports))
    return [
        Row("replay of 1,000,000 bars, every record checked / at least", rate, 200_000.0, rate / 200_000.0, "bars/s"),
        Row("first-divergence report on 1,000,000 bars / at most", report, 2.0, 2.0 / report, "s"),
    ]


def main() -> list[Row]:
    """Measure, print and return the rows."""
    config = parse_config(CONFIG, where="benchmark")
    with tempfile.TemporaryDirectory() as folder:
        rows = writing(Path(folder), market_of(BARS), config) + reading(Path(folder), config)
    show(f"Journal, {ASSETS} assets", rows)
    return rows


if __name__ == "__main__":
    main()
