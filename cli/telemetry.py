"""The roles' ``/metrics`` pages, read by a thread, and the figures that people want from them.

:class:`Samples` is pure: one page, parsed. :class:`Scraper` reads the pages of all roles about twice a second, unless
told to do so less often.
"""

import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from runtime.metrics import Name
from runtime.tls import client_context

INTERVAL_S: Final = 0.5
TIMEOUT_S: Final = 2.0

Labels = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Samples:
    """One role's metrics at one moment; empty if it did not answer."""

    values: Mapping[tuple[str, Labels], float] = field(default_factory=dict)
    asked_at_s: float = 0.0
    """When the page was asked for, by the monotonic clock."""

    @classmethod
    def parse(cls, page: str, *, asked_at_s: float = 0.0) -> "Samples":
        """From a page in Prometheus' text format."""
        values = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(page)
            for sample in family.samples
        }
        return cls(values, asked_at_s)

    def total(self, name: Name, **labels: str) -> float:
        """Sum of the series of a counter or gauge that carry ``labels``."""
        return sum(value for _, value in self.series(name, **labels))

    def series(self, name: str, **labels: str) -> Iterable[tuple[Mapping[str, str], float]]:
        """Each series of ``name`` that carries ``labels``."""
        wanted = set(labels.items())
        full = f"affectstream_{name}"
        for (found, own), value in self.values.items():
            if found == full and wanted <= own:
                yield dict(own), value

    def ready(self, role: str) -> bool:
        """Whether the role says that it does its work."""
        return self.total("role_ready", role=role) == 1.0

    def buckets(self, name: Name, **labels: str) -> Mapping[float, float]:
        """Cumulative counts of a histogram by upper bound, summed over the series that carry ``labels``."""
        counts: dict[float, float] = {}
        for own, value in self.series(f"{name}_bucket", **labels):
            bound = float(own["le"])
            counts[bound] = counts.get(bound, 0.0) + value
        return dict(sorted(counts.items()))


def quantile(buckets: Mapping[float, float], q: float) -> float | None:
    """The ``q`` quantile of a cumulative histogram, linear within a bucket, as Prometheus' histogram_quantile does.

    None if the histogram is empty; the last finite bound if the quantile lies beyond it.
    """
    bounds: Sequence[float] = list(buckets)
    if not bounds or buckets[bounds[-1]] <= 0:
        return None
    rank = q * buckets[bounds[-1]]
    below_bound = below_count = 0.0
    for bound in bounds:
        count = buckets[bound]
        if count >= rank:
            if bound == float("inf"):
                return below_bound
            inside = count - below_count
            return below_bound if inside <= 0 else below_bound + (bound - below_bound) * (rank - below_count) / inside
        below_bound, below_count = bound, count
    return below_bound


def since(now: Mapping[float, float], before: Mapping[float, float]) -> Mapping[float, float]:
    """The observations between two readings of a histogram; all of ``now`` if the role restarted in between."""
    difference = {bound: count - before.get(bound, 0.0) for bound, count in now.items()}
    return now if any(count < 0 for count in difference.values()) else difference


class Scraper:
    """Reads every role's page in a thread of its own, so that a role which hangs delays nobody."""

    def __init__(self, ports: Mapping[str, int], scheme: str = "http", *, every_s: float = INTERVAL_S) -> None:
        self._every_s = every_s
        self._scheme = scheme
        self._ports = ports
        self._latest: Mapping[str, Samples] = {name: Samples() for name in ports}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scraper", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """Read no more; returns when the thread has ended."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    def latest(self) -> Mapping[str, Samples]:
        """The newest reading of each role."""
        return self._latest

    def _run(self) -> None:
        while not self._stop.is_set():
            self._latest = {name: read(port, self._scheme) for name, port in self._ports.items()}
            self._stop.wait(self._every_s)


def read(port: int, scheme: str = "http") -> Samples:
    """The page of the role with this metrics port; empty if it does not answer."""
    asked_at_s = time.monotonic()
    try:
        context = client_context() if scheme == "https" else None
        url = f"{scheme}://127.0.0.1:{port}/metrics"
        with urllib.request.urlopen(url, timeout=TIMEOUT_S, context=context) as answer:  # noqa: S310 - of ours
            return Samples.parse(answer.read().decode(), asked_at_s=asked_at_s)
    except (urllib.error.URLError, OSError, ValueError):
        return Samples()
