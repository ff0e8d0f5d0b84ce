"""What the Python peers share: Avro by fastavro, event time on the grid of ticks, and the product's own maths.

A windowing operator knows windows of one whole number of milliseconds; a tick lasts a thirtieth of a second. So the
event time that peers are given counts ticks, and each is a window of :data:`WINDOW_MS`: window n holds what was
captured after tick n-1 and not after tick n. The newest sample of each modality in it (or the last one held) is the
tick's value. The numbers themselves come from :mod:`dataflows`, compiled, so that what differs is the processing of
the stream.
"""

from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final

import fastavro

from dataflows import calibration, core, layout
from dataflows.alignment import first_tick_us, tick_us
from schemas.bulk import ARRAY_LENGTHS, FACE_COLUMNS, SPEECH_COLUMNS
from schemas.codec import Codec, parsed_schema
from schemas.fusion_config import PARAMETERS
from schemas.records import AvatarFrame
from schemas.vocabulary import SIGNAL_HOPS

WINDOW_MS: Final = 33
GRACE_MS: Final = 120
"""As long as fusion's ``max_wait``."""

_HEADER: Final = 10
_FRAME_PREFIX: Final = Codec().prefix(AvatarFrame)
_SIGNAL: Final = parsed_schema("Signal")
_FRAME: Final = parsed_schema("AvatarFrame")
_INSTANTS: Final = ("captured_at_us", "received_at_us", "ingested_at_us", "consumed_at_us", "inferred_at_us")
assert len(_INSTANTS) == len(SIGNAL_HOPS)

Columns = tuple[tuple[str, bool], ...]


def _columns(names: tuple[str, ...]) -> Columns:
    return tuple((name, name in ARRAY_LENGTHS) for name in names)


_FACE: Final = _columns(FACE_COLUMNS)
_SPEECH: Final = _columns(SPEECH_COLUMNS)


@dataclass(slots=True)
class Sample:
    """One signal as a peer keeps it. ``kind``: FaceSignal, SpeechSignal, SessionStarted or SessionEnded."""

    session: str
    kind: str
    window: int
    stamps: tuple[int, ...]
    values: list[float]
    started: dict[str, Any] | None


def decode(value: bytes) -> Sample:
    """A value of ``signals``, read by fastavro."""
    record: Any = fastavro.schemaless_reader(BytesIO(value[_HEADER:]), _SIGNAL, None, return_record_name=True)
    name, payload = record["payload"]
    kind = name.rpartition(".")[2]
    values: list[float] = []
    if kind == "FaceSignal":
        values = _flat(payload, _FACE)
    elif kind == "SpeechSignal":
        values = _flat(payload, _SPEECH)
    stamps = tuple([record[name] for name in _INSTANTS])
    return Sample(
        record["session_id"], kind, window_of(stamps[0]), stamps, values, payload if kind == "SessionStarted" else None
    )


def _flat(payload: dict[str, Any], columns: Columns) -> list[float]:
    values: list[float] = []
    for name, many in columns:
        if many:
            values += payload[name]
        else:
            values.append(payload[name])
    return values


def window_of(captured_at_us: int) -> int:
    """Number of the first tick since the epoch at or after an instant."""
    return -(-captured_at_us * layout.TICKS_A_SECOND // layout.US)


def event_time_ms(sample: Sample, end_ms: int = 10 * WINDOW_MS + GRACE_MS) -> int:
    """Event time in ms: a window for each tick. A session's end lies ``end_ms`` later, so that its windows close."""
    return sample.window * WINDOW_MS + (end_ms if sample.kind == "SessionEnded" else 0)


class Window:
    """What a window holds: the newest sample of each modality, and the session's start."""

    __slots__ = ("face", "speech", "started")

    def __init__(self) -> None:
        self.face: Sample | None = None
        self.speech: Sample | None = None
        self.started: Sample | None = None

    def add(self, sample: Sample) -> "Window":
        """Take a sample; of equal instants the later record counts."""
        if sample.kind == "FaceSignal":
            if self.face is None or sample.stamps[0] >= self.face.stamps[0]:
                self.face = sample
        elif sample.kind == "SpeechSignal":
            if self.speech is None or sample.stamps[0] >= self.speech.stamps[0]:
                self.speech = sample
        elif sample.kind == "SessionStarted":
            self.started = sample
        return self

    def merge(self, other: "Window") -> "Window":
        """Take another window's samples."""
        for sample in (other.started, other.face, other.speech):
            if sample is not None:
                self.add(sample)
        return self


_OUTPUT: Final = layout.new_output(2)
_WORK: Final = core.workspace()


class Session:
    """A session's state between windows: the last samples, the smoothing, the mouth's owner."""

    def __init__(self, state: layout.State | None = None, first_window: int = -1) -> None:
        self.state = state or layout.new_state(1)
        self.first_window = first_window

    def tick(self, session: str, window: int, content: Window) -> bytes | None:
        """The frame of a closed window, encoded; None if the window has no sample or the session no start."""
        row = self.state.rows[0]
        if content.started is not None:
            self._start(row, content.started)
        if content.face is not None:
            self._hold(row, layout.FACE, self.state.face_stamps, self.state.face_values, content.face)
        if content.speech is not None:
            self._hold(row, layout.SPEECH, self.state.speech_stamps, self.state.speech_values, content.speech)
        if self.first_window < 0 or (content.face is None and content.speech is None):
            return None
        row["tick"] = window - self.first_window
        _OUTPUT.used[layout.FRAMES] = 0
        core.write_frame(0, layout.BOTH, self.state, _OUTPUT, _WORK)
        return encode(session)

    def _start(self, row: Any, started: Sample) -> None:
        payload = started.started
        assert payload is not None
        config = payload["config"]
        row["started_us"] = started.stamps[0]
        row["t0_us"] = first_tick_us(started.stamps[0])
        self.first_window = window_of(int(row["t0_us"]))
        row["mapping"] = layout.MAPPINGS.index(config["mapping"])
        row["smoothing"] = layout.SMOOTHINGS.index(config["smoothing"])
        row["live_us"] = round(config["parameters"]["live_ms"] * 1e3)
        row["config"] = [config["parameters"][name] for name in PARAMETERS]
        given = payload["calibration"]
        calibration.prepare(row, None if given is None else (given[1]["au_neutral"], given[1]["au_gain"]))

    @staticmethod
    def _hold(row: Any, modality: int, stamps: Any, values: Any, sample: Sample) -> None:
        row["count"][modality] = 1
        stamps[0, 0] = sample.stamps
        values[0, 0, : len(sample.values)] = sample.values


def encode(session: str) -> bytes:
    """The frame in the shared output, written by fastavro."""
    out = _OUTPUT
    flags = out.flags[0].tolist()
    stream = BytesIO()
    stream.write(_FRAME_PREFIX)
    fastavro.schemaless_writer(
        stream,
        _FRAME,
        {
            "captured_at_us": int(out.tick_us[0]),
            "face_hops_ms": out.hops[0, layout.FACE].tolist(),
            "speech_hops_ms": out.hops[0, layout.SPEECH].tolist(),
            "emotions": out.emotions[0].tobytes(),
            "affect": out.affect[0].tobytes(),
            "levels": out.levels[0].tobytes(),
            "aus": out.aus[0].tobytes(),
            "angles": out.angles[0].tobytes(),
            "blendshapes": out.blendshapes[0].tobytes(),
            "visemes": out.visemes[0].tobytes(),
            "discontinuity": False,
            "face_live": flags[layout.FLAG_FACE_LIVE] != 0,
            "speech_live": flags[layout.FLAG_SPEECH_LIVE] != 0,
            "viseme_mouth": flags[layout.FLAG_VISEME_MOUTH] != 0,
            "closed_by_max_wait": False,
            "mapping": layout.MAPPINGS[flags[layout.FLAG_MAPPING]],
            "sequence": int(out.tick[0]),
            "session_id": session,
        },
    )
    return stream.getvalue()


def warm() -> None:
    """Load the compiled maths, so that it is not counted as work."""
    session = Session()
    session.first_window = 0
    session.state.rows[0]["config"] = [parameter.default for parameter in PARAMETERS.values()]
    core.write_frame(0, layout.BOTH, session.state, _OUTPUT, _WORK)
    tick_us(0, 0)
    first_tick_us(0)
