"""Numbers for Prometheus."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import get_args

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tuner.service.database.rows import SearchRow, State
from tuner.service.services import Services

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 10.0, 60.0)


class Metrics:
    """Of one server."""

    media_type = CONTENT_TYPE_PLAIN_0_0_4

    def __init__(self, services: Services) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Now(services))
        self.request_seconds = Histogram(
            "thaw_request_seconds",
            "until an answer begins, by operation of the API",
            ("operation", "status"),
            buckets=_BUCKETS,
            registry=self._registry,
        )

    def text(self) -> str:
        return generate_latest(self._registry).decode()


class _Now(Collector):
    """What is counted when somebody asks."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def collect(self) -> Iterator[Metric]:
        services = self._services
        with services.database.reading() as session:
            counted = session.execute(select(SearchRow.state, func.count()).group_by(SearchRow.state)).all()
            busy = session.scalars(select(SearchRow.name).where(SearchRow.state == "running")).all()
        counts = {row[0]: row[1] for row in counted}
        searches = GaugeMetricFamily("thaw_searches", "searches by state", labels=["state"])
        for state in get_args(State):
            searches.add_metric([state], counts.get(state, 0))
        yield searches
        yield GaugeMetricFamily("thaw_queue_length", "searches that wait", len(services.engine.queue()))
        by_status: Counter[str] = Counter()
        for name in busy:
            if summary := services.readings.summary(name):
                by_status.update(summary.trials)
        trials = GaugeMetricFamily("thaw_trials", "trials of running searches by status", labels=["status"])
        for status, count in sorted(by_status.items()):
            trials.add_metric([status], count)
        yield trials
        yield GaugeMetricFamily("thaw_listeners", "open streams of events", services.broadcaster.listeners)
        yield CounterMetricFamily("thaw_events_delivered", "events sent to listeners", services.broadcaster.delivered)
        health = services.engine.health()
        yield GaugeMetricFamily("thaw_ready", "whether searches are begun", int(health.is_ready))
        yield CounterMetricFamily("thaw_ray_restarts", "times that Ray was begun anew", health.restarts_of_ray)


class MeasuredRequests:
    """Times each request until its answer begins; a stream may go on for hours."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()

        async def measured(message: Message) -> None:
            if message["type"] == "http.response.start":
                # never what was asked for: that is without bounds
                operation = getattr(scope.get("endpoint"), "__name__", "none")
                self._metrics.request_seconds.labels(operation, message["status"]).observe(time.perf_counter() - began)
            await send(message)

        await self._app(scope, receive, measured)
