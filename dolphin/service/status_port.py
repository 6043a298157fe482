"""Status for other programs on a loopback port: ``/metrics`` for Prometheus, ``/status.json``, ``/healthz``."""

from __future__ import annotations

import json
import math
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from dolphin.errors import DolphinError
from dolphin.files import json_value

#: Ends a counter's name; every other number is a gauge.
COUNTS = ("trades", "errors", "restarts")
_ODD = re.compile(r"[^a-zA-Z0-9_]+")

#: Gives records by section, such as {"blue": {"capital": 25000.0, "posture": "APEX"}, "store": {...}}.
Read = Callable[[], Mapping[str, Mapping[str, Any]]]


def numbers_of(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float | str]]:
    """Names and values below a record, nested ones joined by ``_``; what is null or a list is left out."""
    for key, value in record.items():
        name = f"{prefix}{_ODD.sub('_', str(key)).strip('_').lower()}"
        if isinstance(value, Mapping):
            yield from numbers_of(value, f"{name}_")
        elif isinstance(value, bool | int | float):
            yield name, float(value)
        elif isinstance(value, str):
            yield name, {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}.get(value, value)


def metrics_text(records: Mapping[str, Mapping[str, Any]]) -> bytes:
    """The records in Prometheus' text: numbers as ``dolphin_capital{section="blue"}``, words as labels of 1.

    A word is a metric of its own only where it is a state (``posture``, ``status``); others would be labels without
    bound.
    """
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.core import GaugeMetricFamily

    class Records:
        def collect(self) -> Iterable[Any]:
            families: dict[str, Any] = {}
            for section, record in records.items():
                for name, value in numbers_of(record):
                    word = isinstance(value, str)
                    if word and not name.endswith(("posture", "status")):
                        continue
                    labels = ["section", name] if word else ["section"]
                    family = families.setdefault(
                        f"{name}:{word}", GaugeMetricFamily(f"dolphin_{name}", f"{name} of the status", labels=labels)
                    )
                    family.add_metric([section, str(value)] if word else [section], 1.0 if word else float(value))
            return families.values()

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Records())  # type: ignore[arg-type]
    return bytes(generate_latest(registry))


class StatusPort:
    """A server on 127.0.0.1, in a thread.

    Parameters
    ----------
    read : callable
        Called at every request; what it raises is a 503 that says so.
    port : int
        0 for a free one.

    Raises
    ------
    DolphinError
        If the port is taken.
    """

    def __init__(self, read: Read, port: int = 0) -> None:
        class Handler(_Handler):
            records = staticmethod(read)

        try:
            self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        except OSError as error:
            raise DolphinError(
                f"cannot listen: {error.strerror}", where=f"127.0.0.1:{port}", mend="choose another --port"
            ) from error
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, name="status-port", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5.0)


class _Handler(BaseHTTPRequestHandler):
    records: Read

    def do_GET(self) -> None:
        """Answer a request."""
        try:
            records = type(self).records()
            if self.path == "/metrics":
                self._answer(200, "text/plain; version=0.0.4; charset=utf-8", metrics_text(records))
            elif self.path == "/status.json":
                self._answer(200, "application/json", json.dumps(json_value(records), default=str).encode())
            elif self.path == "/healthz":
                self._answer(200, "text/plain", b"ok\n")
            else:
                self._answer(404, "text/plain", b"there are /metrics, /status.json and /healthz\n")
        except Exception as error:
            self._answer(503, "text/plain", f"{' '.join(str(error).split())}\n".encode())

    def _answer(self, code: int, kind: str, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nobody wants a line a scrape."""
