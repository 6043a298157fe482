"""A server on this machine with the layout of the exchange's archive, and with its bad days."""

from __future__ import annotations

import hashlib
import io
import json
import threading
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

DAY_MS = 86_400_000


def kline(symbol: str, open_ms: int, step: int) -> list[Any]:
    """One candle as the exchange gives it; its numbers follow from symbol and time."""
    k = open_ms // step + sum(symbol.encode())
    price = 100 + (k * 7919) % 1000 / 100
    texts = [f"{price:.2f}", f"{price + 0.5:.2f}", f"{price - 0.5:.2f}", f"{price + 0.25:.2f}", f"{1 + k % 9}.500"]
    return [open_ms, *texts, open_ms + step - 1, "1000.0", 10 + k % 5, "1.0", "2.0", "0"]


def csv_of(symbol: str, start_ms: int, stop_ms: int, step: int, header: bool) -> bytes:
    """Candles that open in [start, stop) as the archive writes them."""
    lines = [",".join(str(value) for value in kline(symbol, ms, step)) for ms in range(start_ms, stop_ms, step)]
    if header:
        lines.insert(0, "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
                        "taker_buy_volume,taker_buy_quote_volume,ignore")  # fmt: skip
    return ("\n".join(lines) + "\n").encode()


def zipped(name: str, data: bytes) -> bytes:
    """A zip as the archive's: one CSV of the same name."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(name.replace(".zip", ".csv")), data)
    return buffer.getvalue()


@dataclass
class Archive:
    """What it serves, what goes wrong, and what was asked of it.

    ``faults`` maps a path's end to what happens to the next requests for it, one after the other:
    a status, ``("drop", n)`` (the line breaks after n bytes), ``("lie",)`` (a wrong byte).
    """

    step: int
    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, list[Any]] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    ranges: list[str] = field(default_factory=list)
    rest_until_ms: int = 0
    address: str = ""
    lock: Any = field(default_factory=threading.Lock)

    def publish(self, folder: str, symbol: str, interval: str, period: str, start_ms: int, stop_ms: int) -> None:
        """Put the zip of a period and its checksum file where the exchange has them."""
        span = "monthly" if len(period) == 7 else "daily"
        name = f"{symbol}-{interval}-{period}.zip"
        path = f"/{folder}/{span}/klines/{symbol}/{interval}/{name}"
        self.files[path] = zipped(name, csv_of(symbol, start_ms, stop_ms, self.step, header="futures" in folder))
        digest = hashlib.sha256(self.files[path]).hexdigest()
        self.files[f"{path}.CHECKSUM"] = f"{digest}  {name}\n".encode()

    def fault(self, path: str) -> Any:
        """What goes wrong with this request."""
        with self.lock:
            self.asked[path] += 1
            for end, todo in self.faults.items():
                if path.endswith(end) and todo:
                    return todo.pop(0)
        return None


def serve(archive: Archive) -> Callable[[], None]:
    """Start it; returns what stops it. ``archive.address`` is set."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            fault = archive.fault(url.path)
            if isinstance(fault, int):
                self._send(fault, b"", {"Retry-After": "0"})
            elif url.path.endswith("/klines"):
                self._rest({key: values[0] for key, values in parse_qs(url.query).items()})
            elif url.path in archive.files:
                self._file(archive.files[url.path], fault)
            else:
                self._send(404, b"")

        def _file(self, data: bytes, fault: Any) -> None:
            first = 0
            asked = self.headers.get("Range")
            if asked:
                archive.ranges.append(asked)
                first = int(asked.removeprefix("bytes=").removesuffix("-"))
                if first >= len(data):
                    return self._send(416, b"")
            body = data[first:]
            extra = {"Content-Range": f"bytes {first}-{len(data) - 1}/{len(data)}"} if asked else {}
            if fault and fault[0] == "lie":
                body = body[:-1] + bytes([body[-1] ^ 1])
            cut = fault[1] if fault and fault[0] == "drop" else len(body)
            self._send(206 if asked else 200, body, extra, cut)

        def _rest(self, query: dict[str, str]) -> None:
            if query["symbol"].startswith("NO"):
                return self._send(400, b'{"code":-1121,"msg":"Invalid symbol."}')
            first, last = int(query["startTime"]), int(query["endTime"])
            opens = range(-(-first // archive.step) * archive.step, last + 1, archive.step)
            rows = [kline(query["symbol"], ms, archive.step) for ms in opens if ms < archive.rest_until_ms]
            self._send(200, json.dumps(rows[: int(query["limit"])]).encode())

        def _send(self, status: int, body: bytes, extra: dict[str, str] | None = None, cut: int | None = None) -> None:
            self.send_response(status)
            for key, value in (extra or {}).items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body if cut is None else body[:cut])
            if cut is not None and cut < len(body):
                self.wfile.flush()
                self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    archive.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return stop
