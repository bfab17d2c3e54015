"""Counters for Prometheus. They contain nothing of a request's content."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import Scope

_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Measures:
    """Counters of one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "bimodal_requests_total", "Requests by route and status.", ("route", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "bimodal_request_seconds", "Response time.", ("route",), buckets=_SECONDS, registry=self._registry
        )
        self.audio_seconds = Counter(
            "bimodal_audio_seconds_total", "Seconds of audio processed.", registry=self._registry
        )
        self.abstained = Counter("bimodal_abstained_total", "Results without an emotion.", registry=self._registry)
        self.running = Gauge("bimodal_clips_running", "Clips being recognised.", registry=self._registry)
        self.waiting = Gauge("bimodal_clips_waiting", "Clips in the queue.", registry=self._registry)
        self.streams = Gauge("bimodal_streams_open", "Live streams.", registry=self._registry)
        self.jobs = Gauge("bimodal_jobs_open", "Jobs that wait or run.", registry=self._registry)

    def count_request(self, scope: Scope, status: int | None, seconds: float) -> None:
        """Count one request; a client that left before the response counts as 499."""
        route = getattr(scope.get("route"), "path", None) or "other"  # the pattern, never the path itself
        self._requests.labels(route, str(status or 499)).inc()
        self._seconds.labels(route).observe(seconds)

    def render(self) -> bytes:
        """The counters in the text format of Prometheus."""
        return generate_latest(self._registry)
