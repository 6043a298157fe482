"""Who asks: API keys and signatures (HMAC SHA-256), and the time window of a request."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

from dolphin.exchange.refusing import Rejection

#: Requests that anybody may make, and those that need a key alone.
PUBLIC = {"exchangeInfo", "time", "ping", "klines", "depth", "premiumIndex", "ticker/price", "fundingRate"}
KEY_ONLY = {"listenKey"}

#: How far a request's time may be ahead, and its window where it names none, in ms.
AHEAD, WINDOW = 1000, 5000


def check_request(
    name: str, query: str, asked: Mapping[str, str], key: str | None, known: tuple[str, str], now: int
) -> None:
    """Refuse a request whose key, signature or time is not right.

    Parameters
    ----------
    name : str
        The endpoint without its prefix.
    query : str
        All that was signed, and the signature behind it.
    asked : mapping
        The parameters.
    key : str, optional
        The header ``X-MBX-APIKEY``.
    known : tuple of str
        The account's key and secret.
    now : int
        Exchange time, ms.
    """
    if name in PUBLIC:
        return
    if not key:
        raise Rejection(-2014, status=401)
    if key != known[0]:
        raise Rejection(-2015, status=401)
    if name in KEY_ONLY:
        return
    if "timestamp" not in asked or "signature" not in asked:
        missing = "timestamp" if "timestamp" not in asked else "signature"
        raise Rejection(-1102, f"Mandatory parameter '{missing}' was not sent, was empty/null, or malformed.")
    signed = query.rsplit("&signature=", 1)[0]
    expected = hmac.new(known[1].encode(), signed.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, asked["signature"]):
        raise Rejection(-1022)
    sent, window = int(asked["timestamp"]), int(asked.get("recvWindow", WINDOW))
    if sent > now + AHEAD or now - sent > window:
        raise Rejection(-1021)
