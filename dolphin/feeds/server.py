"""A loopback port: ``/health``, ``/metrics`` for Prometheus, factors and books at ``/latest``, and ``/bars``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from dolphin.feeds.bars import KEPT, Rings
from dolphin.feeds.health import STATUSES, Health


class _Figures(Collector):
    """What Prometheus asks for, made of the documents at the moment it asks."""

    def __init__(self, health: Health, latest: Callable[[], dict[str, Any]]) -> None:
        self._health, self._latest = health, latest

    def collect(self) -> Iterator[Metric]:
        document = self._health.document()
        status = GaugeMetricFamily("dolphin_feeds_status", "0 healthy, 1 degraded, 2 critical", labels=["component"])
        age = GaugeMetricFamily("dolphin_feeds_age_seconds", "since it last did its work", labels=["component"])
        counts = CounterMetricFamily("dolphin_feeds_events", "what was counted", labels=["component", "what"])
        latency = GaugeMetricFamily("dolphin_feeds_latency_ms", "quantiles", labels=["component", "what", "quantile"])
        score = GaugeMetricFamily(
            "dolphin_feeds_score", "share that passed, of the newest", labels=["component", "what"]
        )
        status.add_metric(["all"], STATUSES.index(document["status"]))
        for name, part in document["components"].items():
            status.add_metric([name], STATUSES.index(part["status"]))
            if part["age_s"] is not None:
                age.add_metric([name], part["age_s"])
            for what, count in part["counts"].items():
                counts.add_metric([name, what], count)
            for what, share in part["scores"].items():
                score.add_metric([name, what], share)
            for what, quantiles in part["latency_ms"].items():
                for quantile, value in quantiles.items():
                    latency.add_metric([name, what, quantile], value)
        alerts = GaugeMetricFamily("dolphin_feeds_alerts", "active alerts", labels=["severity"])
        for severity in ("info", "warning", "critical"):
            alerts.add_metric([severity], sum(a.severity == severity for a in self._health.active.values()))
        value = GaugeMetricFamily("dolphin_factor", "external factor, where it is fresh", labels=["name"])
        since = GaugeMetricFamily("dolphin_factor_age_seconds", "since it was public", labels=["name"])
        for name, entry in self._latest().get("factors", {}).items():
            if entry["value"] is not None:
                value.add_metric([name], entry["value"])
            if entry["age_s"] is not None:
                since.add_metric([name], entry["age_s"])
        yield from (status, age, counts, latency, score, alerts, value, since)


@asynccontextmanager
async def serving(health: Health, latest: Callable[[], dict[str, Any]], port: int, bars: Rings | None = None) -> Any:
    """Serve on 127.0.0.1 while the block runs; yields the port, which is a free one where ``port`` is 0."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(health, latest))

    async def show_health(_: web.Request) -> web.Response:
        document = health.document()
        return web.json_response(document, status=503 if document["status"] == "critical" else 200)

    async def show_metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": "text/plain; version=0.0.4"})

    async def show_latest(_: web.Request) -> web.Response:
        return web.json_response(latest())

    async def show_bars(request: web.Request) -> web.Response:
        symbol, count = request.query.get("symbol", ""), request.query.get("count", str(KEPT))
        if bars is None or symbol not in bars.symbols or not count.isdecimal():
            known = bars.symbols if bars is not None else []
            return web.json_response({"error": "ask with symbol=NAME&count=N", "symbols": known}, status=404)
        return web.json_response(bars.document(symbol, int(count)))

    app = web.Application()
    app.router.add_get("/bars", show_bars)
    app.router.add_get("/health", show_health)
    app.router.add_get("/metrics", show_metrics)
    app.router.add_get("/latest", show_latest)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
