"""The cluster: bits of the local evaluator, whatever is cut, killed, interrupted or in another order."""

from __future__ import annotations

import dataclasses
import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from distributed import Future
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from dolphin.catalog import Dataset, open_dataset, readers
from dolphin.catalog.ingest.external import import_series
from dolphin.config import Config, parse_config
from dolphin.errors import DolphinError
from dolphin.study.measure import cluster as clusters
from dolphin.study.measure.chunks import Answer, Packing, run_chunk
from dolphin.study.measure.cluster import ClusterEvaluator, open_evaluator
from dolphin.study.measure.evaluator import Batch, LocalEvaluator, Results
from dolphin.study.measure.metrics import ALL_METRICS
from dolphin.study.trials.registry import Registry
from dolphin.workspace import Workspace
from tests.cli.command_line import command, environment

SPANS = ((0, 4320), (1000, 2500))

STUDY = """
dataset = "m"
trials = 4000
[config.params]
direction = "bidirectional"
vol_gate_mode = "off"
[search]
tp_pct = { low = 0.001, high = 0.004 }
max_hold_bars = { low = 5, high = 60 }
"""


@pytest.fixture(scope="module")
def variants(busy: Config) -> list[Config]:
    rng = random.Random(6)
    return [
        busy.with_values(
            {
                "tp_pct": rng.uniform(0.001, 0.004),
                "max_hold_bars": rng.randint(5, 60),
                "vel_div": rng.choice(["v50-v750", "v50-v150"]),
                "friction.fee_bps": rng.choice([0.0, 2.0]),
                "account.initial_capital": rng.choice([1e4, 25e3]),
            }
        )
        for _ in range(60)
    ]


@pytest.fixture(scope="module")
def batch(variants: list[Config]) -> Batch:
    return Batch(variants, SPANS, checks=(0, 31))


@pytest.fixture(scope="module")
def local(dataset: Dataset, batch: Batch) -> Results:
    with LocalEvaluator(dataset) as evaluator:
        return evaluator.evaluate(batch)


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "CHUNK_SECONDS", 0.002)


def same(a: Results, b: Results) -> None:
    for name in ALL_METRICS:
        assert a.metrics[name].dtype == b.metrics[name].dtype
        assert a.metrics[name].tobytes() == b.metrics[name].tobytes(), name
    assert a.exits.tobytes() == b.exits.tobytes()
    assert a.daily is not None and b.daily is not None
    assert [x.tobytes() for x in a.daily] == [x.tobytes() for x in b.daily]


def pids(evaluator: ClusterEvaluator) -> list[int]:
    return list(evaluator._client.run(os.getpid).values())


@settings(max_examples=15, deadline=None)
@given(cuts=st.sets(st.integers(1, 29), max_size=4), daily=st.booleans())
def test_chunks_hold_what_the_configs_do(dataset: Dataset, variants: list[Config], cuts: set[int], daily: bool) -> None:
    configs = [config for config in variants if config.params.vel_div == "v50-v750"][:24]  # type: ignore[attr-defined]
    packing = Packing(dataset, configs, daily)
    with LocalEvaluator(dataset) as evaluator:
        whole = evaluator.evaluate(Batch(configs, SPANS))
    borders = sorted({0, len(configs), *(cut for cut in cuts if cut < len(configs))})
    answers = [run_chunk(packing.chunk(low, high, SPANS)) for low, high in itertools.pairwise(borders)]
    for s in range(len(SPANS)):
        for name in ALL_METRICS:
            joined = np.concatenate([answer.parts[s].metrics[name] for answer in answers])
            assert joined.tobytes() == whole.metrics[name][s].tobytes(), name
        joined = np.concatenate([answer.parts[s].daily_returns for answer in answers])
        assert joined.tobytes() == (whole.span(s).daily_returns.tobytes() if daily else b"")


def test_only_what_differs_travels(dataset: Dataset, variants: list[Config]) -> None:
    same_features = [config.with_values({"vel_div": "v50-v750"}) for config in variants]
    columns = Packing(dataset, same_features, True).chunk(0, 60, SPANS).columns
    assert set(columns) == {"params.tp_pct", "params.max_hold_bars", "friction.fee", "capital"}
    assert Packing(dataset, same_features[:1], True).chunk(0, 1, SPANS).columns == {}


@pytest.mark.parametrize("what", ["numpy", "Python", "source digest", "engine digest", "scanner digest"])
def test_a_worker_with_other_code_refuses(dataset: Dataset, busy: Config, what: str) -> None:
    chunk = Packing(dataset, [busy], True).chunk(0, 1, SPANS)
    other = dataclasses.replace(chunk, code={**chunk.code, what: "1.2.3"})
    with pytest.raises(DolphinError, match=rf"the worker runs other code: {what} \S+, not 1\.2\.3; install"):
        run_chunk(other)


def test_a_worker_without_the_data_refuses(dataset: Dataset, busy: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOLPHIN_HOME", raising=False)
    chunk = Packing(dataset, [busy], True).chunk(0, 1, SPANS)
    with pytest.raises(DolphinError, match="0000"):
        run_chunk(dataclasses.replace(chunk, dataset="m@" + "0" * 64))


def test_a_worker_on_another_machine_uses_its_own_catalog(
    dataset: Dataset, busy: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunk = Packing(dataset, [busy], True).chunk(0, 1, SPANS)
    monkeypatch.setenv("DOLPHIN_HOME", chunk.workspace)
    ours, theirs = run_chunk(chunk), run_chunk(dataclasses.replace(chunk, workspace="/nowhere/at/all"))
    assert ours.parts[0].metrics["final_equity"] == theirs.parts[0].metrics["final_equity"]


@pytest.mark.parametrize("url", ["", "local:0", "local:x", "http://127.0.0.1:1", "tcp://", "tcp://host"])
def test_what_is_no_cluster_is_refused(dataset: Dataset, url: str) -> None:
    with pytest.raises(DolphinError, match="is no cluster; use local:4 or tcp://host:port"):
        open_evaluator(url, dataset)


def test_a_scheduler_that_does_not_answer_is_named(dataset: Dataset) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(DolphinError, match=rf"^{url}: no scheduler answers .*; start one: dask scheduler$"):
            open_evaluator(url, dataset, patience=0.5)


def test_no_url_is_this_process(dataset: Dataset) -> None:
    with open_evaluator(None, dataset, threads=3) as evaluator:
        assert isinstance(evaluator, LocalEvaluator) and evaluator.threads == 3


@pytest.fixture
def in_process(dataset: Dataset) -> Iterator[ClusterEvaluator]:
    """A scheduler and two worker threads in this process."""
    from distributed import LocalCluster

    cluster = LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None, scheduler_kwargs=clusters.LOOPBACK
    )
    here = LocalEvaluator(dataset, threads=1)
    with ClusterEvaluator(here, clusters.connect(cluster), cluster=cluster, patience=1.0) as evaluator:
        yield evaluator


@pytest.mark.usefixtures("small_chunks")
def test_a_cluster_gives_the_same_bits(in_process: ClusterEvaluator, batch: Batch, local: Results) -> None:
    done: list[int] = []
    same(local, in_process.evaluate(batch, done.append))
    assert sum(done) == len(batch.configs) * len(SPANS) and len(done) > 4
    assert in_process.evaluate(dataclasses.replace(batch, daily=False)).daily is None
    few = dataclasses.replace(batch, configs=batch.configs[:1], checks=(0,))
    assert in_process.evaluate(few).metrics["roi"][:, 0].tobytes() == local.metrics["roi"][:, 0].tobytes()


@pytest.mark.usefixtures("small_chunks")
def test_an_interrupt_leaves_the_cluster_usable(in_process: ClusterEvaluator, batch: Batch, local: Results) -> None:
    def stop(count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        in_process.evaluate(batch, stop)
    same(local, in_process.evaluate(batch))


def test_a_worker_says_where_it_failed(in_process: ClusterEvaluator, busy: Config, home: Workspace) -> None:
    lost = open_dataset(home, "m")
    in_process.dataset = dataclasses.replace(lost, digest="0" * 64)
    with pytest.raises(DolphinError, match=r"^worker inproc://\S+: "):
        in_process.evaluate(Batch([busy], SPANS))


def test_a_cluster_without_workers_is_waited_for_and_given_up(in_process: ClusterEvaluator, batch: Batch) -> None:
    assert in_process._cluster is not None
    in_process._cluster.scale(0)
    in_process._client.sync(in_process._cluster._correct_state)
    with pytest.raises(DolphinError, match=r"no worker for 1 s; start one: dask worker"):
        in_process.evaluate(batch)


@pytest.mark.slow
@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("processes", [1, 3])
def test_killed_workers_lose_nothing(dataset: Dataset, batch: Batch, local: Results, processes: int) -> None:
    with open_evaluator(f"local:{processes}", dataset) as evaluator:
        assert isinstance(evaluator, ClusterEvaluator)
        same(local, evaluator.evaluate(batch))
        seen, killed = 0, set[int]()

        def kill(count: int) -> None:
            nonlocal seen
            seen += count
            if len(killed) < 2 and seen > 20 * (len(killed) + 1):
                victim = pids(evaluator)[0]
                os.kill(victim, signal.SIGKILL)
                killed.add(victim)

        same(local, evaluator.evaluate(batch, kill))
        assert seen == len(batch.configs) * len(SPANS) and len(killed) == 2


@pytest.mark.slow
@pytest.mark.usefixtures("small_chunks")
def test_an_answer_that_died_with_its_worker_is_computed_again(
    dataset: Dataset, batch: Batch, local: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_evaluator("local:2", dataset) as evaluator:
        assert isinstance(evaluator, ClusterEvaluator)
        fetched, killed = evaluator._fetched, set[int]()

        def kill_first(future: Future) -> Answer:
            if not killed:  # the chunk is done, its answer still lies in the memory of the worker
                (address,) = evaluator._client.who_has(future)[str(future.key)]
                victim = evaluator._client.run(os.getpid, workers=[address])[address]
                os.kill(victim, signal.SIGKILL)
                killed.add(victim)
            return fetched(future)

        monkeypatch.setattr(evaluator, "_fetched", kill_first)
        same(local, evaluator.evaluate(batch))
        assert len(killed) == 1


@pytest.mark.slow
def test_a_chunk_carries_the_symbols_and_the_table_of_its_market(home: Workspace) -> None:
    (home.research / "own_pair.py").write_text("from pair_for_tests import PAIR\n")
    table = {"strategy": "own_pair:PAIR", "params": {"first": "SYN03USDT"}, "market": {"funding": "rates"}}
    base = parse_config(table, where="x", research=home.research)
    configs = [base.with_values({"hold": hold}) for hold in (5, 9, 14)]
    dataset = open_dataset(home, "m")
    file = home.root / "rates_funding.parquet"
    times = [dataset.first_ts // 10**6 + hours * 3_600_000 for hours in (0, 8, 16)]
    pl.DataFrame({"symbol": ["SYN03USDT"] * 3, "ts": times, "funding_rate": [0.001, -0.002, 0.003]}).write_parquet(file)
    import_series(home, "rates", [(file, readers.read(file))], {"source": "test"})
    answer = run_chunk(Packing(dataset, configs, True).chunk(0, 3, ((0, 3000),)))
    with LocalEvaluator(dataset) as evaluator:
        found = evaluator.evaluate(Batch([*configs, base.with_values({"first": "BTCUSDT"})], ((0, 3000),)))
    for name in ALL_METRICS:
        assert answer.parts[0].metrics[name].tobytes() == found.metrics[name][0, :3].tobytes(), name
    assert found.metrics["roi"][0, 3] not in found.metrics["roi"][0, :3]


@pytest.mark.slow
def test_a_chunk_that_kills_its_workers_is_given_up(home: Workspace) -> None:
    (home.research / "deadly.py").write_text(
        "import multiprocessing, os\n"
        "from dolphin.strategies.vel_div import VEL_DIV as strategy\n"
        "if multiprocessing.parent_process() is not None:\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    config = parse_config({"strategy": "deadly:strategy"}, where="test", research=home.research)
    died = pytest.raises(DolphinError, match="every worker that was given one of the chunks died")
    with open_evaluator("local:1", open_dataset(home, "m"), patience=60.0) as evaluator, died:
        evaluator.evaluate(Batch([config], SPANS))


@pytest.mark.slow
def test_a_study_on_a_cluster_leaves_the_same_registry(home: Workspace, tmp_path: Path) -> None:
    (home.experiments / "look.toml").write_text(STUDY)
    there = Workspace(shutil.copytree(home.root, tmp_path / "there"))
    assert run_sweep(home).returncode == 0
    first = subprocess.Popen(
        command("sweep", "experiments/look.toml", "--cluster", "local:2"),
        env=environment(there.root), cwd=there.root, start_new_session=True, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_for_trials(there)
    os.killpg(first.pid, signal.SIGINT)
    said = first.communicate(timeout=60)[1]
    assert "Traceback" not in said
    if first.returncode != 0:  # else it was quicker than the signal
        assert first.returncode == 130 and "interrupted; the finished batches are registered" in said
        again = run_sweep(there, "--resume", "--cluster", "local:2")
        assert again.returncode == 0, again.stderr
    ours, theirs = trials(home), trials(there)
    assert ours.height == 4000
    assert_frame_equal(ours, theirs, check_exact=True)
    assert not Registry(there).problems()


def run_sweep(home: Workspace, *options: str) -> subprocess.CompletedProcess[str]:
    """The study, to its end."""
    return subprocess.run(
        command("sweep", "experiments/look.toml", *options),
        env=environment(home.root), cwd=home.root, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def wait_for_trials(home: Workspace) -> None:
    until = time.monotonic() + 60
    while trials(home).is_empty():
        assert time.monotonic() < until
        time.sleep(0.1)


def trials(home: Workspace) -> pl.DataFrame:
    """What the study left, without the times."""
    return Registry(home).trials().filter(pl.col("state") == "done").drop("time_ns").collect().sort("trial")
