"""What a store costs its callers, and how long a scan takes from file to decision.

Run ``python -m benchmarks.stores [hazelcast://host:port/cluster]``; without a URL the embedded store alone.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from dolphin.catalog.store.scan_layout import FEATURES as COLUMNS
from dolphin.live.feeds.scan_folder import ScanFolder
from dolphin.live.feeds.scan_record import ScanRecord, to_arrow, to_document
from dolphin.live.feeds.scan_store import publish_scan
from dolphin.live.mirrors.breaker import LiveBreaker
from dolphin.risk.rules import FACTORS
from dolphin.stores import Store, open_store
from dolphin.stores.names import ACB_BOOST, EXTERNAL_FACTORS, FEATURES, SAFETY
from dolphin.times import format_time

ROUNDS, SCANS, SYMBOLS = 2000, 100, 400


def spent(call: Callable[[], object], rounds: int = ROUNDS) -> str:
    """Median and 99th percentile of a call, in microseconds."""
    times = []
    for _ in range(rounds):
        begun = time.perf_counter_ns()
        call()
        times.append((time.perf_counter_ns() - begun) / 1000)
    return quantiles(times, "us")


def quantiles(times: list[float], unit: str) -> str:
    """Median, 99th percentile and the longest."""
    cuts = statistics.quantiles(times, n=100)
    return f"median {statistics.median(times):8.1f} {unit}, p99 {cuts[98]:8.1f}, longest {max(times):8.1f}"


def calls(one: Store, other: Store) -> None:
    """Each call of a store; ``other`` is a second handle of the same."""
    document = {"x": 1.5, "name": "a value of the benchmark"}
    one.put(FEATURES, "bench", document).wait(10.0)
    one.fetch(FEATURES, "bench")
    print("  get, own view       ", spent(lambda: one.get(FEATURES, "bench")))
    print("  fetch, near cache   ", spent(lambda: one.fetch(FEATURES, "bench")))
    print("  fetch, no near cache", spent(lambda: one.fetch(SAFETY, "bench")))
    print("  put, handed over    ", spent(lambda: one.put(SAFETY, "bench", document)))
    one.settle(30.0)
    print("  put, acknowledged   ", spent(lambda: one.put(SAFETY, "bench", document).wait(10.0), 300))
    count = {"n": 0}

    def change(_: object) -> dict[str, int]:
        count["n"] += 1
        return dict(count)

    print("  atomic change       ", spent(lambda: one.update(SAFETY, "count", change).wait(10.0), 300))
    heard = threading.Event()
    times, end = [], other.listen("dolphin.bench", lambda _: heard.set())
    other.settle(30.0)
    for _ in range(300):
        heard.clear()
        begun = time.perf_counter_ns()
        one.publish("dolphin.bench", document)
        heard.wait(10.0)
        times.append((time.perf_counter_ns() - begun) / 1000)
    end()
    print("  topic, to a listener", quantiles(times, "us"))


def file_to_decision(store: Store, folder: Path) -> None:
    """From the rename of a scan file to the breaker's decision: watcher, store, topic, listener, risk row."""
    store.put(FEATURES, EXTERNAL_FACTORS, dict.fromkeys(FACTORS, 50.0))
    breaker, watcher, times = LiveBreaker(store), ScanFolder(folder), []
    breaker.follow()
    breaker.decide(time.time_ns(), -1)  # compiles
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.02):
            for scan in watcher.poll():
                publish_scan(store, scan)

    thread = threading.Thread(target=watch)
    thread.start()
    for n in range(SCANS):
        ts = time.time_ns() // 10**9 * 10**9 + n * 10**9
        scan = ScanRecord(ts, n, dict.fromkeys(COLUMNS, 0.1), {f"COIN{k}USDT": 1.0 + k for k in range(SYMBOLS)}, "")
        data = to_arrow(scan) if n % 2 else json.dumps(to_document(scan)).encode()
        path = folder / f"scan_{n}.{'arrow' if n % 2 else 'json'}"
        (folder / f".{path.name}").write_bytes(data)
        begun = time.perf_counter_ns()
        (folder / f".{path.name}").replace(path)
        while breaker.last is None or breaker.last.scan_number != n:
            time.sleep(0.0005)
        times.append((time.perf_counter_ns() - begun) / 1e6)
    stop.set()
    thread.join()
    breaker.close()
    assert store.get(FEATURES, ACB_BOOST) is not None, format_time(time.time_ns())
    print(f"  file to decision    {quantiles(times, 'ms')} ({SCANS} scans of {SYMBOLS} symbols)")


def main() -> None:
    """Print the tables."""
    with tempfile.TemporaryDirectory() as folder:
        for url in (f"embedded:{folder}/store", *sys.argv[1:2]):
            one = open_store(url, wait=60.0)
            other = one if url.startswith("embedded") else open_store(url, wait=60.0)
            print(url.partition(":")[0])
            calls(one, other)
            scans = Path(folder) / url.partition(":")[0]
            scans.mkdir()
            file_to_decision(one, scans)
            for store in {id(one): one, id(other): other}.values():
                store.close()


if __name__ == "__main__":
    main()
