"""A frame's way as spans of a trace, from the stamps that it carries. Pure.

Nothing is recorded while a frame is made: its stamps are in the log already, so that tracing costs the roles nothing
and a recording can be traced afterwards. Which sessions are traced is a hash of their id: every process, and every
restart, chooses the same ones. A trace holds no session id, for it leaves the stores that an erasure reaches, but its
digest: whoever knows a session's id finds its traces.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from schemas.records import AvatarFrame
from schemas.vocabulary import SIGNAL_HOPS

Service = Literal["client", "ingest", "face-worker", "speech-worker", "fusion", "egress"]

HOPS: Final = ("transport", "ingest", "queue", "inference")
"""The ways between two of :data:`~schemas.vocabulary.SIGNAL_HOPS`."""

LONGEST_US: Final = 60_000_000


@dataclass(frozen=True, slots=True)
class Shown:
    """What a viewer acknowledged of a frame, µs since the epoch; ``rendered_at_us`` None if it does not say."""

    relayed_at_us: int
    rendered_at_us: int | None


@dataclass(frozen=True, slots=True)
class Span:
    """One stretch of a frame's way, µs since the epoch. ``parent`` is another span's name; the root has none."""

    name: str
    service: Service
    start_us: int
    end_us: int
    parent: str | None
    attributes: Mapping[str, str | int | bool] = field(default_factory=dict)


def sampled(session_id: str, share: float) -> bool:
    """Whether a session is among the ``share`` (0 to 1) of sessions that are traced: the same answer everywhere."""
    drawn = int.from_bytes(hashlib.sha256(b"trace/" + session_id.encode()).digest()[:8], "big")
    return drawn < share * 2**64


def session_digest(session_id: str) -> str:
    """What stands for a session in traces: the first 16 hexadecimal digits of its id's SHA-256."""
    return hashlib.sha256(session_id.encode()).hexdigest()[:16]


def trace_id(session_id: str, sequence: int) -> int:
    """The id of a frame's trace, 128 bits: the same whenever it is made, so that what is sent twice is there once."""
    return int.from_bytes(hashlib.sha256(f"frame/{session_id}/{sequence}".encode()).digest()[:16], "big")


def span_id(session_id: str, sequence: int, name: str) -> int:
    """The id of one span of a frame's trace, 64 bits."""
    return int.from_bytes(hashlib.sha256(f"span/{session_id}/{sequence}/{name}".encode()).digest()[:8], "big")


def frame_spans(frame: AvatarFrame, fused_at_us: int, shown: Shown | None = None) -> list[Span]:
    """The spans of a frame, the root first and every parent before its children; empty if its stamps make no sense.

    The root, ``frame``, goes from the capture of the older sample that counted (or the tick, if none did) to the last
    stamp that is known. Below it: ``face`` and ``speech`` with a span a hop each, ``fusion`` from the later inference,
    ``relay`` and ``glass``. ``fusion``, ``relay``, ``glass`` and the hops of the slower modality follow one another
    without a gap, so they add up to its whole. Stamps are cut to the millisecond in places: none is before the one
    before it.
    """
    spans: list[Span] = []
    starts, inferred = [], []
    for modality, hops_ms in (("face", frame.face_hops_ms), ("speech", frame.speech_hops_ms)):
        if math.isnan(hops_ms[0]):
            continue
        stamps = [frame.captured_at_us + round(hop * 1_000) for hop in hops_ms]
        for i in range(1, len(stamps)):
            stamps[i] = max(stamps[i], stamps[i - 1])
        starts.append(stamps[0])
        inferred.append(stamps[-1])
        spans += _sample_spans("face" if modality == "face" else "speech", stamps)
    start_us = min(starts, default=frame.captured_at_us)
    ready_us = max(inferred, default=start_us)
    last_us = fused_us = max(fused_at_us, ready_us)
    spans.append(
        Span("fusion", "fusion", ready_us, fused_us, "frame", {"closed_by_max_wait": frame.closed_by_max_wait})
    )
    if shown is not None:
        last_us = relayed_us = max(shown.relayed_at_us, fused_us)
        spans.append(Span("relay", "egress", fused_us, relayed_us, "frame"))
        if shown.rendered_at_us is not None:
            last_us = max(shown.rendered_at_us, relayed_us)
            spans.append(Span("glass", "client", relayed_us, last_us, "frame"))
    if not 0 <= last_us - start_us <= LONGEST_US:
        return []
    attributes: dict[str, str | int | bool] = {
        "affectstream.session_digest": session_digest(frame.session_id),
        "affectstream.sequence": frame.sequence,
        "affectstream.discontinuity": frame.discontinuity,
        "affectstream.mapping": frame.mapping,
    }
    return [Span("frame", "client", start_us, last_us, None, attributes), *spans]


def _sample_spans(modality: Literal["face", "speech"], stamps: list[int]) -> list[Span]:
    worker: Service = "face-worker" if modality == "face" else "speech-worker"
    services: tuple[Service, ...] = ("client", "ingest", worker, worker)
    assert len(stamps) == len(SIGNAL_HOPS) == len(HOPS) + 1
    whole = Span(modality, worker, stamps[0], stamps[-1], "frame")
    return [
        whole,
        *(
            Span(f"{modality}.{hop}", service, stamps[i], stamps[i + 1], modality)
            for i, (hop, service) in enumerate(zip(HOPS, services, strict=True))
        ),
    ]
