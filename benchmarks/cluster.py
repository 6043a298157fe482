"""The same batches on this process's threads and on a local cluster, and what a chunk costs beside its runs.

Run ``python -m benchmarks.cluster``. One day of 5-second bars, 50 assets; the two take turns in one run.
"""

from __future__ import annotations

import os
import pickle
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.day import one_day
from benchmarks.sweep import combinations
from benchmarks.table import Row, show
from dolphin.config import Config
from dolphin.study.measure.chunks import Packing, run_chunk
from dolphin.study.measure.cluster import open_evaluator
from dolphin.study.measure.evaluator import Batch, Evaluator, LocalEvaluator
from dolphin.study.measure.spans import Span

COUNT, ROUNDS = 8192, 3
PROCESSES = (1, 2, 4)


def seconds(evaluator: Evaluator, batch: Batch) -> float:
    began = time.perf_counter()
    evaluator.evaluate(batch)
    return time.perf_counter() - began


def against(local: LocalEvaluator, processes: int, batch: Batch) -> list[Row]:
    """The throughput and the start of ``processes`` workers, and the seconds of a batch of one combination."""
    began = time.perf_counter()
    with open_evaluator(f"local:{processes}", local.dataset) as cluster:
        opened = time.perf_counter() - began
        one = Batch(batch.configs[:1], (Span(0, 100),))
        first = seconds(cluster, Batch(batch.configs[:64], (Span(0, 100),)))  # opens the data, loads the kernels
        seconds(cluster, batch)
        local.threads = min(processes, os.cpu_count() or 1)
        pairs = np.array([(seconds(cluster, batch), seconds(local, batch)) for _ in range(ROUNDS)])
        trips = [seconds(cluster, one) for _ in range(20)]
    name = f"{processes} processes / {local.threads} threads"
    ours, peer = np.median(len(batch.configs) / pairs, axis=0)
    return [
        Row(name, float(ours), float(peer), float(np.median(pairs[:, 1] / pairs[:, 0])), "combinations/s"),
        Row(f"start, then first chunk, {processes}", opened, first, opened / first, "s"),
        Row(f"one short chunk there and back, {processes} / batch", float(np.median(trips) * 1e3),
            float(pairs[:, 0].min() * 1e3), float(np.median(trips) / pairs[:, 0].min()), "ms"),
    ]  # fmt: skip


def sizes(local: LocalEvaluator, configs: list[Config], bars: int) -> Row:
    """Bytes of a chunk sent and of its answer, a combination."""
    chunk = Packing(local.dataset, configs, True).chunk(0, 1024, (Span(0, bars),))
    sent, back = len(pickle.dumps(chunk, 5)) / 1024, len(pickle.dumps(run_chunk(chunk), 5)) / 1024
    return Row("a combination sent / its answer", sent, back, sent / back, "bytes")


def main() -> list[Row]:
    """Measure, print and return the rows."""
    with tempfile.TemporaryDirectory() as folder:
        case = one_day(Path(folder))
        configs = combinations(COUNT)
        batch = Batch(configs, (Span(0, case.bars),))
        with LocalEvaluator(case.dataset) as local:
            seconds(local, Batch(configs[:4], (Span(0, 100),)))
            rows = [row for processes in PROCESSES for row in against(local, processes, batch)]
            rows.append(sizes(local, configs[:1024], case.bars))
    show(f"Cluster, {case.bars:,} bars x 50 assets, {COUNT:,} combinations", rows)
    return rows


if __name__ == "__main__":
    main()
