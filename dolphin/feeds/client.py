"""One client for all providers: within its budget, patient where that helps, away from who fails."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

import httpx
import tenacity

from dolphin.feeds.breaker import Breaker
from dolphin.feeds.budget import Budget
from dolphin.feeds.health import Component, Health
from dolphin.feeds.sources import SOURCES, FeedSettings

#: Seconds that a request waits for its turn, at most.
PATIENCE = 20.0
#: Seconds of rest where a provider refuses (429) or bans (418) and does not say for how long.
REFUSED, BANNED = 5.0, 120.0
#: Seconds between two tries, at most.
LONGEST_PAUSE = 5.0


if find_spec("sniffio") is None:
    # httpcore imports it at every lock, and where it is not installed Python looks through all folders each time: a
    # third of what a poll cycle cost (measured). A module that is None is known to be missing.
    modules: dict[str, Any] = sys.modules
    modules.setdefault("sniffio", None)


class Failed(Exception):
    """No answer from a provider, and why, in few words; ``again`` where another try may help."""

    def __init__(self, why: str, *, again: bool = False) -> None:
        super().__init__(why)
        self.again = again


class Client:
    """Asks providers by name; use it as an async context.

    Parameters
    ----------
    settings : FeedSettings
        Addresses, budgets, tries.
    health : Health
        Calls and latencies go there, into component ``api``.
    """

    def __init__(self, settings: FeedSettings, health: Health, clock: Callable[[], float] = time.monotonic) -> None:
        self.settings, self._health, self._clock = settings, health, clock
        self.breakers = {
            name: Breaker(settings.breaker_failures, settings.seconds("breaker_rest"), clock) for name in SOURCES
        }
        self.budgets = {name: Budget(settings.per_minute(name), clock=clock) for name in SOURCES}
        for name, breaker in self.breakers.items():
            health.breakers[name] = lambda breaker=breaker: breaker.state  # type: ignore[misc]
        self._part: Component = health.component("api", limit_s=float("1e9"))
        self._client = httpx.AsyncClient(timeout=httpx.Timeout(settings.timeout), follow_redirects=True)

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def get(
        self, source: str, path: str, params: Mapping[str, str] | None = None, *, weight: int = 1, attempts: int = 0
    ) -> bytes:
        """The body of an answer.

        Raises
        ------
        Failed
            If there is none after the tries that the settings allow, the breaker is open, or the budget is spent.
        """
        url = f"{self.settings.base(source)}{path}"
        pause = self.settings.pause
        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(lambda error: isinstance(error, Failed) and error.again),
            stop=tenacity.stop_after_attempt(attempts or self.settings.attempts),
            wait=tenacity.wait_exponential(pause, max=LONGEST_PAUSE) + tenacity.wait_random(0, pause),
            reraise=True,
        )
        return await retrying(self._once, source, url, dict(params or {}), weight)

    async def _once(self, source: str, url: str, params: dict[str, str], weight: int) -> bytes:
        breaker = self.breakers[source]
        if not breaker.allow():
            raise Failed(f"left alone for {breaker.seconds_left:.0f} s more")
        try:
            if not await self.budgets[source].take(weight, PATIENCE):
                self._part.counts[f"{source}: over budget"] += 1
                raise Failed("its budget is spent")
            body = await self._ask(source, url, params)
        except Failed as failure:
            if failure.again:
                breaker.failed()
            self._opened(source, str(failure))
            raise
        finally:
            breaker.gave_up()
        breaker.succeeded()
        self._health.clear(f"breaker:{source}")
        return body

    async def _ask(self, source: str, url: str, params: dict[str, str]) -> bytes:
        began = self._clock()
        self._part.counts[f"{source}: calls"] += 1
        try:
            response = await self._client.get(url, params=params)
        except httpx.TimeoutException:
            self._part.counts[f"{source}: failed"] += 1
            raise Failed(f"no answer within {self.settings.timeout:g} s", again=True) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            self._part.counts[f"{source}: failed"] += 1
            raise Failed(" ".join(str(error).split())[:80] or type(error).__name__, again=True) from None
        self._part.took(source, 1e3 * (self._clock() - began))
        status = response.status_code
        if status == 200:
            return response.content
        self._part.counts[f"{source}: failed"] += 1
        if status in (418, 429):
            wish = response.headers.get("retry-after", "")
            rest = float(wish) if wish.replace(".", "", 1).isdigit() else (REFUSED if status == 429 else BANNED)
            self.breakers[source].hold(rest)
            raise Failed(f"answers {status}, asks to wait {rest:g} s")
        said = " ".join(response.text[:80].split())
        raise Failed(f"answers {status} {said}".rstrip(), again=status >= 500)

    def wrong(self, source: str, why: str) -> None:
        """An answer came and was not one: it counts as a failure of its provider."""
        self.breakers[source].failed()
        self._part.counts[f"{source}: unreadable"] += 1
        self._opened(source, why)

    def _opened(self, source: str, why: str) -> None:
        breaker = self.breakers[source]
        if breaker.state == "open":
            text = f"{source} is left alone for {breaker.seconds_left:.0f} s: {why}"
            self._health.alert(f"breaker:{source}", "warning", "api", text)
