"""Calibration through the edge: given, learned, learned anew; fused by the real role."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from random import Random
from typing import Any

import httpx
import orjson
import pytest
from websockets.asyncio.client import connect

from client import Session, SessionRefused
from dataflows.alignment import first_tick_us
from runtime.kafka import Publisher
from runtime.settings import Settings
from runtime.tokens import Grant, Tokens
from schemas.codec import Codec
from schemas.records import AvatarFrame, SessionControl, SessionStarted, Signal
from schemas.topics import AVATAR_FRAMES, SIGNALS
from schemas.vocabulary import AUS
from tests.support.edges import Log, ingest, log_of
from tests.support.processes import running
from tests.support.signals import face_signal, sample

AU04 = AUS.index("AU04")


class Face:
    """A face worker's signals of one session: a face that looks into the camera and holds its expression.

    The pictures are taken at the instants of the ticks, so that each closes its own, wherever the session began.
    """

    def __init__(self, settings: Settings, started: Signal) -> None:
        self._publisher = Publisher(settings)
        self._started = started
        self._first_us = first_tick_us(started.captured_at_us)
        self.pictures = 0

    def hold(self, intensity: float, seconds: float) -> int:
        """Go on for so long; returns the tick at which it ends."""
        codec, session = Codec(), self._started.session_id
        face = replace(face_signal(0.0, Random(0)), au_intensities=(intensity,) * len(AUS), yaw_deg=0.0, pitch_deg=0.0)
        for _ in range(round(seconds * 30)):
            at_us = self._first_us + self.pictures * 1_000_000 // 30
            signal = sample(session, at_us, self.pictures, face)
            self._publisher.send(SIGNALS, session, codec.encode(signal))
            self.pictures += 1
        self._publisher.flush()
        return self.pictures


def shown(frames: Log, tick: int) -> float:
    """AU04 of the newest frame, once the frame before ``tick`` is there."""
    found = frames.until(lambda log: any(frame.sequence >= tick - 1 for frame in log), deadline_s=20)
    return max(found, key=lambda frame: frame.sequence).aus[AU04] / 255


@contextmanager
def reading(settings: Settings) -> Iterator[tuple[Log, Log]]:
    with log_of(settings, SIGNALS, Signal) as signals, log_of(settings, AVATAR_FRAMES, AvatarFrame) as frames:
        yield signals, frames


def start_of(signals: Log) -> Signal:
    return next(
        s for s in signals.until(lambda log: any(isinstance(s.payload, SessionStarted) for s in log))
        if isinstance(s.payload, SessionStarted)
    )  # fmt: skip


def controls(signals: Log, count: int) -> list[Signal]:
    def found(log: list[Any]) -> list[Signal]:
        return [signal for signal in log if isinstance(signal.payload, SessionControl)]

    return found(signals.until(lambda log: len(found(log)) == count))


async def test_a_neutral_face_is_learned_and_learned_anew(settings: Settings) -> None:
    with ingest(settings) as edge, running("fusion", settings), reading(settings) as (signals, frames):
        session = await Session.create(
            edge.url, video=True, timeline="recorded", parameters={"calibration_seconds": 1.0}
        )
        face = Face(settings, start_of(signals))
        assert shown(frames, face.hold(0.2, 2.0)) < 0.03
        assert shown(frames, face.hold(0.3, 1.0)) == pytest.approx(0.125, abs=0.03)
        asked_us = await session.reset_calibration()
        assert [control.captured_at_us for control in controls(signals, 1)] == [asked_us]
        assert shown(frames, face.hold(0.3, 2.0)) < 0.03
        # The same over the media connection.
        async with connect(f"{session.opened.media_url}?token={session.token}", compression=None, proxy=None) as socket:
            await socket.send('{"type":"reset_calibration"}')
            answer: dict[str, Any] = {}
            while answer.get("type") != "calibration_reset":
                answer = orjson.loads(await socket.recv())
        assert controls(signals, 2)[-1].captured_at_us == answer["captured_at_us"]
        assert shown(frames, face.hold(0.1, 2.0)) < 0.03
        assert shown(frames, face.hold(1.0, 0.5)) == pytest.approx(1.0, abs=0.01)
        await session.delete()
        with pytest.raises(SessionRefused, match="over") as refused:
            await session.reset_calibration()
        assert (refused.value.status, refused.value.code) == (410, "session_ended")


async def test_a_calibration_that_is_known_is_given(settings: Settings) -> None:
    with ingest(settings) as edge, running("fusion", settings), reading(settings) as (signals, frames):
        calibration = {"au_neutral": {"AU04": 0.5}, "au_gain": {"AU12": 2.0}}
        await Session.create(edge.url, video=True, timeline="recorded", calibration=calibration)
        started = start_of(signals)
        recorded = started.payload.calibration
        assert (recorded.au_neutral[AU04], recorded.au_gain[AU04]) == (0.5, 2.0)
        assert (recorded.au_neutral[AUS.index("AU12")], recorded.au_gain[AUS.index("AU12")]) == (0.0, 2.0)
        face = Face(settings, started)
        assert shown(frames, face.hold(0.5, 4.0)) == 0.0
        assert shown(frames, face.hold(0.75, 0.5)) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    "calibration, code, said",
    [
        ({"au_neutral": {"AU99": 0.1}}, "invalid_calibration", "unknown Action Unit"),
        ({"au_neutral": {"AU12": 1.5}}, "invalid_calibration", "au_neutral.AU12 = 1.5 is outside [0, 1]"),
        ({"au_gain": {"AU12": -1}}, "invalid_calibration", "au_gain.AU12 = -1 is outside [0, 10]"),
        ({"au_gain": {"AU12": "much"}}, "invalid_request", "calibration.au_gain.AU12"),
        ({"neutral": {}}, "invalid_request", "calibration.neutral"),
    ],
)
def test_a_calibration_that_cannot_be_used_says_why(
    settings: Settings, calibration: dict[str, Any], code: str, said: str
) -> None:
    with ingest(settings) as edge:
        answer = httpx.post(f"{edge.url}/v1/sessions", json={"calibration": calibration}, trust_env=False)
    assert answer.status_code == 422
    assert answer.json()["code"] == code
    assert said in answer.json()["detail"]


async def test_who_may_ask_and_how_often(settings: Settings) -> None:
    with ingest(settings) as edge, log_of(settings, SIGNALS, Signal) as signals:
        mine, other = await Session.create(edge.url), await Session.create(edge.url)
        tokens = Tokens(settings.token_key)
        grant = tokens.verify(mine.token, now_s=edge.role.clock.now_us() / 1e6, audience="ingest")
        watcher = tokens.issue(Grant(**{**_fields(grant), "scopes": frozenset({"watch"})}), issued_at_s=0)
        url = f"{edge.url}/v1/sessions/{mine.session_id}/calibration/reset"
        async with httpx.AsyncClient(trust_env=False) as http:
            for token, status, code in (
                (other.token, 403, "wrong_session"),
                (watcher, 403, "missing_scope"),
                ("rubbish", 401, "malformed_token"),
            ):
                answer = await http.post(url, headers={"Authorization": f"Bearer {token}"})
                assert (answer.status_code, answer.json()["code"]) == (status, code)
            answers = [await http.post(url, headers={"Authorization": f"Bearer {mine.token}"}) for _ in range(20)]
        codes = [answer.status_code for answer in answers]
        assert codes[:5] == [200] * 5
        assert 429 in codes
        assert len(controls(signals, codes.count(200))) == codes.count(200)


def _fields(grant: Grant) -> dict[str, Any]:
    return {name: getattr(grant, name) for name in Grant.__dataclass_fields__}
