"""Every source asked once, and what it said: no retries, no recording."""

from __future__ import annotations

import asyncio
import time
from typing import NamedTuple

import aiohttp
import msgspec

from dolphin.feeds.client import Client, Failed
from dolphin.feeds.collector import MS
from dolphin.feeds.declared import DECLARED, Choice
from dolphin.feeds.health import Health
from dolphin.feeds.parsers import Unreadable
from dolphin.feeds.sources import FeedSettings
from dolphin.times import format_time


class Finding(NamedTuple):
    """One question: of which source, for what, whether it was answered, how long it took, what was said."""

    source: str
    what: str
    ok: bool
    ms: float
    said: str


async def ask_all(settings: FeedSettings) -> list[Finding]:
    """Ask for every indicator by each of its choices, and for one message of the streams."""
    patient = settings.model_copy(update={"breaker_failures": 10_000})  # every question is asked
    async with Client(patient, Health()) as client:
        wanted = [(name, choice) for name, declared in DECLARED.items() for choice in declared.choices]
        asked = [_ask(client, name, choice) for name, choice in wanted]
        return list(await asyncio.gather(*asked, _clock(client), _stream(settings)))


async def _ask(client: Client, name: str, choice: Choice) -> Finding:
    now, began = time.time_ns(), time.monotonic()
    try:
        body = await client.get(choice.source, choice.path, choice.query(now), weight=choice.weight, attempts=1)
        answer = choice.parse(body, now)
    except (Failed, Unreadable) as error:
        return Finding(choice.source, name, False, 1e3 * (time.monotonic() - began), str(error))
    said = "no value now" if answer is None else f"{answer.value:.6g} of {format_time(answer.reference_ns)}"
    return Finding(choice.source, name, True, 1e3 * (time.monotonic() - began), f"{said} ({choice.basis})")


async def _clock(client: Client) -> Finding:
    began, here = time.monotonic(), time.time_ns()
    try:
        body = await client.get("binance", "/fapi/v1/time", attempts=1)
        skew = int(msgspec.json.decode(body)["serverTime"]) * MS - (here + time.time_ns()) // 2
    except (Failed, msgspec.MsgspecError, LookupError, TypeError, ValueError) as error:
        return Finding("binance", "clock", False, 1e3 * (time.monotonic() - began), str(error))
    return Finding("binance", "clock", True, 1e3 * (time.monotonic() - began), f"{skew / 1e9:+.3f} s from ours")


async def _stream(settings: FeedSettings) -> Finding:
    began, said, ok = time.monotonic(), "connected, subscription answered", True
    try:
        async with (
            asyncio.timeout(settings.timeout),
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{settings.base('binance_ws')}/stream") as socket,
        ):
            name = f"{settings.symbols[0].lower()}@bookTicker"
            await socket.send_json({"method": "SUBSCRIBE", "params": [name], "id": 1})
            message = await socket.receive()
            if message.type != aiohttp.WSMsgType.TEXT:
                ok, said = False, "ended the connection"
    except TimeoutError:
        ok, said = False, f"no answer within {settings.timeout:g} s"
    except (aiohttp.ClientError, OSError) as error:
        ok, said = False, " ".join(str(error).split())[:80] or type(error).__name__
    return Finding("binance_ws", "streams", ok, 1e3 * (time.monotonic() - began), said)
