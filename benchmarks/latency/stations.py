"""Where the time goes between the sensor and the client: from messages to hops. Pure.

A frame's hop stamps count from its tick, on the service's clock. Ticks lie on the grid of thirtieths of a second, so
the tick's exact instant follows from ``timestamp_ms``, which is cut to the millisecond. Bench and service share one
machine and so one clock.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np

MODALITIES: Final = ("face", "speech")
STATIONS: Final = ("captured", "received", "ingested", "consumed", "inferred", "fused", "relayed", "at_client")
HOPS: Final = ("transport", "ingest", "queue", "inference", "fusion", "relay", "delivery")
"""The ways between two stations."""
TICKS_A_SECOND: Final = 30


@dataclass(frozen=True, slots=True)
class Arrival:
    """An ``avatar_frame`` and when it had come, µs since the epoch."""

    received_us: int
    message: Mapping[str, Any]

    @property
    def tick_us(self) -> float:
        """The exact instant of the frame's tick, µs."""
        ticks = -(-int(self.message["timestamp_ms"]) * TICKS_A_SECOND // 1_000)
        return ticks * 1e6 / TICKS_A_SECOND

    def stations_us(self, modality: str) -> tuple[float, ...] | None:
        """The instants of :data:`STATIONS` of the sample that counted, µs; None if that modality did not count."""
        hops = self.message["hops_ms"]
        sample = hops.get(modality)
        if sample is None:
            return None
        tick_us = self.tick_us
        stamps = (*(sample[name] for name in STATIONS[:5]), hops["fused"], hops["relayed"])
        return (*(tick_us + stamp * 1e3 for stamp in stamps), float(self.received_us))


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Of a series in milliseconds."""

    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, values_ms: Sequence[float]) -> "Percentiles":
        """Of at least one value."""
        p50, p95, p99 = (round(float(value), 2) for value in np.percentile(values_ms, (50, 95, 99)))
        return cls(p50, p95, p99)


@dataclass(frozen=True, slots=True)
class Journey:
    """One modality's way from the sensor to the client."""

    samples: int
    whole: Percentiles
    hops: Mapping[str, Percentiles]
    longest_unstamped_ms: float
    """The largest difference between the sum of a frame's hops and its whole, by the service's stamps."""


def journey(arrivals: Iterable[Arrival], modality: str) -> Journey | None:
    """The modality's journey over the frames in which it counted; None if there is none."""
    wholes: list[float] = []
    spans: dict[str, list[float]] = {hop: [] for hop in HOPS}
    unstamped = 0.0
    for arrival in arrivals:
        stations = arrival.stations_us(modality)
        if stations is None:
            continue
        ways = [(later - earlier) / 1e3 for earlier, later in pairwise(stations)]
        for hop, way in zip(HOPS, ways, strict=True):
            spans[hop].append(way)
        wholes.append((stations[-1] - stations[0]) / 1e3)
        unstamped = max(unstamped, abs(wholes[-1] - sum(ways)))
    if not wholes:
        return None
    found = {hop: Percentiles.of(ways) for hop, ways in spans.items()}
    return Journey(len(wholes), Percentiles.of(wholes), found, unstamped)


def unaccounted_ms(arrivals: Iterable[Arrival], pictures_us: Sequence[int]) -> list[float]:
    """What the client's own clock sees beyond the sum of the hops, for each frame with a face, in ms.

    ``pictures_us``: when the client took each picture, ascending, by its own clock. The picture that counted is the
    nearest to the frame's ``captured`` stamp. What remains is the error of the edge's idea of the client's clock, and
    rounding; it is 0 if every hop is stamped and no clock is wrong.
    """
    rest: list[float] = []
    for arrival in arrivals:
        stations = arrival.stations_us("face")
        if stations is None:
            continue
        at = bisect_left(pictures_us, stations[0])
        near = min(pictures_us[max(0, at - 1) : at + 1], key=lambda taken: abs(taken - stations[0]))
        whole_ms = (arrival.received_us - near) / 1e3
        rest.append(abs(whole_ms - (stations[-1] - stations[0]) / 1e3))
    return rest
