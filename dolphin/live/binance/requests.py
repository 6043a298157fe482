"""Signed requests to an exchange's REST interface, and the errors that they are answered with."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

import httpx
import msgspec

from dolphin.errors import DolphinError
from dolphin.live.binance.keys import Keys

#: The receive window of every signed request, ms.
RECV_WINDOW_MS = 2000

#: Seconds between two questions, and the longest wait after "too many requests" (429).
AGAIN, LONGEST_WAIT = 0.5, 60.0

#: What an operator does about an answer, by its code.
MENDS = {
    -1021: "set this machine's clock (NTP)",
    -1022: "the secret is not this key's: check BINANCE_API_SECRET",
    -2014: "check BINANCE_API_KEY",
    -2015: "check the key, its allowed addresses and its permission for futures, and that it is of this --environment",
}


class ExchangeError(DolphinError):
    """An answer that is an error: ``code`` as the exchange gives it (0 for none), ``status`` of HTTP (0: no answer)."""

    def __init__(self, code: int, status: int, message: str, where: str) -> None:
        self.code, self.status = code, status
        if code or status:
            down = "it is down or in maintenance: wait, then the same command" if status >= 500 else None
            super().__init__(
                f"the exchange answers {code or status}: {message}", where=where, mend=MENDS.get(code, down)
            )
        else:
            super().__init__(
                f"the exchange does not answer: {message}", where=where, mend="is it up, and the address right?"
            )


class Requests:
    """Requests to one account.

    Parameters
    ----------
    url : str
        Such as ``https://fapi.binance.com``.
    keys : Keys, optional
        Only public requests without.
    timeout : float
        Seconds of one request.
    """

    def __init__(self, url: str, keys: Keys | None = None, *, timeout: float = 5.0) -> None:
        self._url, self._keys = url.rstrip("/"), keys
        self._http = httpx.AsyncClient(timeout=timeout)
        self.skew_ms = 0
        #: Is told in a line when the exchange makes us wait, and when it does not any more.
        self.tell: Callable[[str], None] = lambda line: None
        self._waits, self._not_before = False, 0.0

    async def close(self) -> None:
        """Let go of connections."""
        await self._http.aclose()

    async def request(self, method: str, path: str, signed: bool = True, **asked: Any) -> Any:
        """One request, as JSON; waits and asks again where the exchange says "too many requests".

        Raises
        ------
        ExchangeError
            For any other answer than 200, and for none.
        """
        waited = False
        while True:
            while (left := self._not_before - time.monotonic()) > 0.0:
                await asyncio.sleep(left)
            response = await self._once(method, path, signed, asked)
            if response.status_code not in (429, 418):
                break
            waited = True
            self._wait(response)
        if waited and self._waits:
            self._waits = False
            self.tell("the exchange takes requests again")
        if response.status_code != 200:
            code, message = _error(response)
            raise ExchangeError(code, response.status_code, message, path)
        return msgspec.json.decode(response.content)  # a start reads hundreds of pages of klines

    def _wait(self, refusal: httpx.Response) -> None:
        """Too many requests: none goes out for a while; said once. Who asks while banned is banned for longer."""
        banned, wait = refusal.status_code == 418, _seconds(refusal.headers.get("Retry-After"))
        wait = wait if banned else min(wait, LONGEST_WAIT)
        self._not_before = time.monotonic() + wait
        if not self._waits:
            self._waits = True
            what = "this address is banned (418)" if banned else "too many requests (429)"
            self.tell(f"{what}: the exchange is asked nothing for {wait:g} s")

    async def _once(self, method: str, path: str, signed: bool, asked: Mapping[str, Any]) -> httpx.Response:
        headers = {}
        query = urlencode(asked)
        if signed:
            if self._keys is None:
                raise DolphinError("asked without keys", where=path)
            stamp = {"timestamp": int(time.time() * 1000) + self.skew_ms, "recvWindow": RECV_WINDOW_MS}
            query = urlencode({**asked, **stamp})
            headers["X-MBX-APIKEY"] = self._keys.key
            query += "&signature=" + hmac.new(self._keys.secret.encode(), query.encode(), hashlib.sha256).hexdigest()
        url = f"{self._url}{path}" + (f"?{query}" if query else "")
        try:
            return await self._http.request(method, url, headers=headers)
        except httpx.HTTPError as error:
            raise ExchangeError(0, 0, f"no answer ({type(error).__name__})", path) from None


def _error(response: httpx.Response) -> tuple[int, str]:
    try:
        body = response.json()
        return int(body["code"]), str(body["msg"])
    except (ValueError, KeyError, TypeError):
        return 0, "no reason given"


def _seconds(text: str | None) -> float:
    try:
        return max(float(text or 1.0), AGAIN)
    except ValueError:
        return 1.0
