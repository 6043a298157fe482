"""Polite HTTP: a limited rate, patience with failures, downloads that go on where they broke off."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx
import tenacity

from dolphin.catalog.store.layout import writing
from dolphin.errors import DolphinError
from dolphin.files import sha256_file, sync

T = TypeVar("T")
LONGEST_WAIT = 120.0  # seconds; a server that asks for more is not waited for
CHECKSUM_TRIES = 2


def address(text: str) -> str:
    """A base address without its last slash, if it is one."""
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise DolphinError(f"'{text}' is not an address", mend="give it as https://host")
    return text.rstrip("/")


class Unreachable(DolphinError):
    """No connection to the server at all: nothing else needs to be tried."""


class _Again(Exception):
    """Worth another try; ``after`` is the server's own wish in seconds."""

    def __init__(self, why: str, after: float = 0.0) -> None:
        super().__init__(why)
        self.after = after


class Fetcher:
    """A client for many threads.

    Parameters
    ----------
    per_second : float
        Requests a second at most, over all threads.
    attempts : int
        Tries per request that made no progress.
    pause : float
        Seconds before the second try; doubled, with some chance in it, for each further one.
    """

    def __init__(self, *, per_second: float = 8.0, attempts: int = 6, pause: float = 0.5) -> None:
        self.stop = threading.Event()
        self._client = httpx.Client(
            follow_redirects=True,
            timeout=httpx.Timeout(30.0, connect=10.0),
            headers={"accept-encoding": "identity"},  # sizes and ranges of the file itself
        )
        self._interval, self._attempts, self._pause = 1.0 / per_second, attempts, pause
        self._turn, self._next = threading.Lock(), 0.0

    def __enter__(self) -> Fetcher:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, url: str, params: dict[str, Any] | None = None) -> bytes | None:
        """The body, or None where there is no such file."""

        def once() -> bytes | None:
            self._wait_for_turn()
            response = self._client.get(url, params=params)
            return self._body(response).read() if response.status_code != 404 else None

        return self._patiently(url, once)

    def download(self, url: str, target: Path, sha256: str) -> int:
        """Fetch a file whose SHA-256 is known; returns the bytes that came over the line.

        A partial file of an earlier try is gone on with. ``target`` appears whole and checked, or
        not at all.

        Raises
        ------
        DolphinError
            If the server fails for good or what it sends has another checksum.
        """
        part = target.with_name(f".{target.name}.part")
        with writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
        moved = 0
        for _ in range(CHECKSUM_TRIES):
            moved += self._fill(url, part)
            with writing(target):
                if sha256_file(part) == sha256:
                    sync(part)
                    part.replace(target)
                    sync(target.parent)
                    return moved
                part.unlink()
        raise DolphinError(
            "what the server sends has another checksum than it says", where=url, mend="try again later, or tell them"
        )

    def _fill(self, url: str, part: Path) -> int:
        """Bring ``part`` to its full length; every try that adds to it resets the patience."""
        moved = 0
        while True:
            before = part.stat().st_size if part.exists() else 0
            try:
                return moved + self._patiently(url, lambda: self._append(url, part), lambda: part, before)
            except _Progressed as more:
                moved += more.bytes

    def _append(self, url: str, part: Path) -> int:
        have = part.stat().st_size if part.exists() else 0
        self._wait_for_turn()
        headers = {"Range": f"bytes={have}-"} if have else {}
        with self._client.stream("GET", url, headers=headers) as response:
            if response.status_code == 416:  # longer than the file, or complete: the checksum decides
                return 0
            if response.status_code == 404:
                raise DolphinError("has vanished from the server", where=url, mend="try again later")
            self._body(response)
            goes_on = response.status_code == 206 and response.headers.get("content-range", "").startswith(
                f"bytes {have}-"
            )
            moved = 0
            with writing(part), part.open("ab" if goes_on else "wb") as stream:
                # No chunk size: what has arrived is written, also if the line breaks in the middle of a chunk.
                for chunk in response.iter_raw():
                    if self.stop.is_set():
                        raise KeyboardInterrupt
                    stream.write(chunk)
                    moved += len(chunk)
            return moved

    def _body(self, response: httpx.Response) -> httpx.Response:
        """The response if it is one; else another try, or an error."""
        status = response.status_code
        if status in (418, 429) or status >= 500:
            wish = response.headers.get("retry-after", "0")
            after = float(wish) if wish.replace(".", "", 1).isdigit() else 0.0
            if after > LONGEST_WAIT:
                raise DolphinError(
                    f"the server asks to wait {after:.0f} s", where=str(response.url), mend="run the same command then"
                )
            raise _Again(f"answers {status}", after)
        if status >= 400:
            says = " ".join(response.read()[:200].decode("utf-8", "replace").split())
            raise DolphinError(
                f"the server answers {status} {says}".rstrip(),
                where=str(response.url),
                mend="check the address and the symbol",
            )
        return response

    def _patiently(self, url: str, once: Callable[[], T], part: Callable[[], Path] | None = None, before: int = 0) -> T:
        backoff = tenacity.wait_exponential(self._pause, max=LONGEST_WAIT) + tenacity.wait_random(0, self._pause)

        def wait(state: tenacity.RetryCallState) -> float:
            failure = state.outcome.exception() if state.outcome else None
            return max(backoff(state), failure.after if isinstance(failure, _Again) else 0.0)

        def on_failure(state: tenacity.RetryCallState) -> None:
            if part is not None and part().exists() and (size := part().stat().st_size) > before:
                raise _Progressed(size - before)

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type((httpx.TransportError, _Again)),
            stop=tenacity.stop_after_attempt(self._attempts) | tenacity.stop_when_event_set(self.stop),
            wait=wait,
            sleep=tenacity.sleep_using_event(self.stop),
            before_sleep=on_failure,
            reraise=True,
        )
        try:
            return retrying(once)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise Unreachable(
                f"cannot be reached ({error})", where=url, mend="check the network and the address, then run it again"
            ) from error
        except (httpx.TransportError, _Again) as error:
            raise DolphinError(
                f"fails after {self._attempts} tries ({str(error) or type(error).__name__})",
                where=url,
                mend="run the same command again, it goes on where it stopped",
            ) from error

    def _wait_for_turn(self) -> None:
        with self._turn:
            now = time.monotonic()
            mine = max(now, self._next)
            self._next = mine + self._interval
        if self.stop.wait(mine - now):
            raise KeyboardInterrupt


class _Progressed(Exception):
    """A try broke off after adding to the partial file."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.bytes = size
