"""Spikes of implied volatility while they happen: the hours of the last thirty days, and when one stood out last."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
import numpy as np

from dolphin.feeds.client import Client, Failed
from dolphin.feeds.health import Health
from dolphin.risk.survival import HOUR_NS, SPIKE_LEAST, SPIKE_WINDOW, minutes_since_spike
from dolphin.times import SECOND_NS, format_time

#: Hours that are asked for: each of the newest is measured against those before it.
HOURS = SPIKE_WINDOW + 48

#: Seconds after a whole hour at which its reading is asked for, and between two tries that failed.
AFTER, AGAIN = 60.0, 300.0

_PATH = "/api/v2/public/get_volatility_index_data"
_MS = 1_000_000


class Spikes:
    """Deribit's volatility index of one coin, hour by hour, and its spikes as RISK has them.

    Parameters
    ----------
    coin : str
    clock : callable
        ns UTC.
    """

    def __init__(self, health: Health, coin: str = "BTC", *, clock: Callable[[], int]) -> None:
        self._health, self._coin, self._clock = health, coin, clock
        self._public = np.zeros(0, np.int64)
        self._readings = np.zeros(0)

    async def ask(self, client: Client) -> None:
        """Ask for all hours anew: the provider corrects some.

        Raises
        ------
        Failed
            If there is no answer.
        """
        end = self._clock() // _MS
        query = {
            "currency": self._coin, "resolution": "3600",
            "start_timestamp": str(end - HOURS * HOUR_NS // _MS), "end_timestamp": str(end),
        }  # fmt: skip
        body = await client.get("deribit", _PATH, query)
        try:
            rows = {int(row[0]) * _MS + HOUR_NS: float(row[4]) for row in msgspec.json.decode(body)["result"]["data"]}
        except (msgspec.MsgspecError, LookupError, TypeError, ValueError) as error:
            raise Failed(f"answers what it does not publish ({error})") from None
        over = sorted(at for at in rows if at <= self._clock())
        self._public = np.array(over, np.int64)
        self._readings = np.array([rows[at] for at in over])

    def document(self) -> dict[str, Any] | None:
        """``spike_at`` (None: no spike in these hours) and what it was read from; None before the first answer."""
        if not len(self._public):
            return None
        now = self._clock()
        minutes = float(minutes_since_spike(np.array([now], np.int64), self._public, self._readings)[0])
        spike = None if np.isinf(minutes) else format_time(now - round(minutes * 60 * SECOND_NS))
        return {
            "spike_at": spike, "dvol": float(self._readings[-1]), "public": format_time(int(self._public[-1])),
            "hours": len(self._public), "enough": len(self._public) > SPIKE_LEAST,
        }  # fmt: skip

    async def run(self, client: Client, stop: asyncio.Event) -> None:
        """Ask a minute after each hour until told to stop."""
        while not stop.is_set():
            try:
                await self.ask(client)
                self._health.clear("exf:spikes")
                wait = (HOUR_NS - self._clock() % HOUR_NS) / SECOND_NS + AFTER
            except Failed as failure:
                text = f"implied volatility of the last {HOURS} hours: {failure}"
                self._health.alert("exf:spikes", "warning", "exf", text)
                wait = AGAIN
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await stop.wait()
