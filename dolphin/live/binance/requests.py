"""Signed requests to an exchange's REST interface, and the errors that they are answered with."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import httpx

from dolphin.errors import DolphinError
from dolphin.live.binance.keys import Keys

#: The receive window of every signed request, ms.
RECV_WINDOW_MS = 2000

#: Seconds between two questions, and the longest wait after "too many requests".
AGAIN, LONGEST_WAIT = 0.5, 60.0


class ExchangeError(DolphinError):
    """An answer that is an error: ``code`` as the exchange gives it (0 for none), ``status`` of HTTP (0: no answer)."""

    def __init__(self, code: int, status: int, message: str, where: str) -> None:
        self.code, self.status = code, status
        if code or status:
            super().__init__(f"the exchange answers {code or status}: {message}", where=where)
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
        while True:
            response = await self._once(method, path, signed, asked)
            if response.status_code not in (429, 418):
                break
            await asyncio.sleep(min(_seconds(response.headers.get("Retry-After")), LONGEST_WAIT))
        if response.status_code != 200:
            code, message = _error(response)
            raise ExchangeError(code, response.status_code, message, path)
        return response.json()

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
