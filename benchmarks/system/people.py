"""A process of many people with on-device clients. ``python -m benchmarks.system.people SERVER COUNT OUT``.

Each has a session: it sends face features 30 times a second and speech features 25 times, answers the edge's questions,
and watches its packed frames, acknowledging one a second, as the page does. Prints READY once all are connected or
refused, and at SIGTERM stops sending, takes the last frames, ends its sessions and writes OUT (frames, .npy) and beside
it what was sent and said (.json).
"""

import http.client
import json
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

from benchmarks.edge_mode.clients import ENGINE, HOP_HZ, face, speech
from benchmarks.fusion.signals import FACE_HZ
from benchmarks.sockets import BINARY, TEXT, RawSocket, Sockets, masked
from client.pace import Pace
from schemas.close_codes import CloseCode
from schemas.features import face_payload, speech_payload
from schemas.media_framing import HEADER, MediaKind

REST_S: Final = 0.001
DEVICE_US: Final = 25_000
"""From a picture's capture to its features being sent: what a device takes to analyse it."""
FACES: Final = 16
STARTERS: Final = 8
SOURCES: Final = 64
"""Addresses of this machine's that people come from, for an edge takes only so many sessions from one."""
LAST_FRAMES_S: Final = 1.0
LEAVE_S: Final = 20.0
FINE: Final = ("1000", str(int(CloseCode.SESSION_ENDED)))
"""How connections end that both sides are done with."""
ACKS_A_SECOND: Final = 50
FRAME: Final = slice(4, 64)
FRAME_TYPE: Final = np.dtype(
    [
        ("sequence", "<u4"),
        ("tick_us", "<i8"),
        ("fused_ms", "<f4"),
        ("relayed_ms", "<f4"),
        ("face_ms", "<f4", 5),
        ("speech_ms", "<f4", 5),
    ]
)
"""A packed frame from its number to its hops (docs/protocol.md)."""


class Person:
    """One session."""

    __slots__ = ("faces", "hops", "media", "newest", "pace", "session_id", "skipped", "token", "watching")

    def __init__(self, answer: Mapping[str, Any]) -> None:
        self.session_id: str = answer["session_id"]
        self.token: str = answer["token"]
        self.media: RawSocket | None = None
        self.watching: RawSocket | None = None
        self.pace = Pace()
        self.faces = 0
        """Sent so far."""
        self.hops = 0
        self.skipped = 0
        """Pictures that were not sent because the edge asked for fewer, or took nothing."""
        self.newest = -1


class People:
    """All of them."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._sockets = Sockets(self._take)
        self._people: list[Person] = []
        self.refused: Counter[str] = Counter()
        self.said: Counter[str] = Counter()
        self._frames = bytearray()
        self._numbers: list[int] = []
        self._received_us: list[int] = []
        rng = random.Random(1)
        self._faces = [
            _framed(face_payload(face(rng), engine=ENGINE, inference_us=DEVICE_US - 5_000)) for _ in range(FACES)
        ]
        self._hop = _framed(speech_payload(speech(), engine=ENGINE, inference_us=1_000))
        self._began_us = 0
        self._sent_faces = self._sent_hops = 0
        self.late_us: list[int] = []
        self.unread = 0

    def arrive(self, count: int) -> None:
        """Start sessions and connect those that are not refused."""
        answers: list[Mapping[str, Any]] = []
        with ThreadPoolExecutor(STARTERS) as pool:
            for answer in pool.map(lambda number: _start(self._server, number), range(count)):
                if "token" in answer:
                    answers.append(answer)
                else:
                    self.refused[answer.get("code", "unknown")] += 1
        people = [Person(answer) for answer in answers]
        self._people = people
        media = self._sockets.open([(a["media_url"], a["token"], "") for a in answers], 0)
        watching = self._sockets.open(
            [(a["avatar_url"], a["token"], "affectstream.binary") for a in answers], len(people)
        )
        for person, sending, seeing in zip(people, media, watching, strict=True):
            person.media, person.watching = sending, seeing
        self._began_us = time.time_ns() // 1_000

    def step(self, now_us: int) -> None:
        """Send what is due, the people spread over a period as cameras are."""
        count = len(self._people)
        if not count:
            return
        since_us = now_us - self._began_us
        due = since_us * FACE_HZ * count // 1_000_000 + 1
        if due > self._sent_faces:
            self.late_us.append(since_us - self._sent_faces * 1_000_000 // (FACE_HZ * count))
        for number in range(self._sent_faces, due):
            person = self._people[number % count]
            if not person.pace.wanted(now_us) or (person.media is not None and person.media.unsent):
                person.skipped += 1
                continue
            prefix, payload = self._faces[number % FACES]
            head = HEADER.pack(MediaKind.FACE_FEATURES, 0, 0, person.faces, now_us - DEVICE_US)
            if _sent(person.media, prefix + head + payload):
                person.faces += 1
        self._sent_faces = due
        due = since_us * HOP_HZ * count // 1_000_000 + 1
        prefix, payload = self._hop
        for number in range(self._sent_hops, due):
            person = self._people[number % count]
            head = HEADER.pack(MediaKind.SPEECH_FEATURES, 0, 0, person.hops, now_us - 1_000)
            if _sent(person.media, prefix + head + payload):
                person.hops += 1
        self._sent_hops = due

    def receive(self, timeout_s: float) -> None:
        """Take what has come."""
        self._sockets.receive(timeout_s)

    def acknowledge(self, turn: int, turns: int) -> None:
        """Say that these people's newest frames are on their screens."""
        now_us = time.time_ns() // 1_000
        for person in self._people[turn::turns]:
            if person.newest >= 0 and person.watching is not None:
                ack = f'{{"type":"ack","sequence":{person.newest},"rendered_at_us":{now_us}}}'
                person.watching.send(masked(TEXT, ack.encode()))

    def leave(self) -> None:
        """End every session, after its last frames."""
        self._while(lambda: True, LAST_FRAMES_S)
        media = [person.media for person in self._people if person.media is not None]
        for raw in media:
            raw.send(masked(TEXT, b'{"type":"end"}'))
        # The edge closes a connection when it has read all of it.
        self._while(lambda: not all(raw.closed for raw in media), LEAVE_S)
        # Egress closes a connection when the last frame of its session is through.
        watching = [person.watching for person in self._people if person.watching is not None]
        self._while(lambda: not all(raw.closed for raw in watching), LEAVE_S)
        self.unread = sum(not raw.closed for raw in (*media, *watching))
        self._sockets.close()

    def _while(self, condition: Callable[[], bool], most_s: float) -> None:
        until_s = time.monotonic() + most_s
        while condition() and time.monotonic() < until_s:
            self.receive(0.01)
            for person in self._people:
                if person.media is not None and person.media.unsent:
                    person.media.send(b"")

    def _take(self, raw: RawSocket, opcode: int, payload: memoryview) -> None:
        now_us = time.time_ns() // 1_000
        count = len(self._people)
        if opcode == BINARY:
            self._received_us.append(now_us)
            self._numbers.append(raw.number - count)
            frame = bytes(payload[FRAME])
            self._frames += frame
            self._people[raw.number - count].newest = int.from_bytes(frame[:4], "little")
            return
        if opcode != TEXT:
            return
        message = json.loads(bytes(payload))
        kind = message["type"]
        if kind == "clock_probe":
            answer = f'{{"type":"clock","server_us":{message["server_us"]},"client_us":{now_us}}}'
            raw.send(masked(TEXT, answer.encode()))
        elif kind == "rate":
            self._people[raw.number].pace.ask(message["video_per_s"])
        elif kind == "notice":
            self.said[f"notice {message['code']}"] += int(message["count"])
        elif kind == "skipped":
            self.said["skipped"] += int(message["count"])

    def rows(self) -> npt.NDArray[np.void]:
        """The frames that came."""
        frame = np.frombuffer(bytes(self._frames), FRAME_TYPE)
        rows = np.empty(len(frame), np.dtype([("person", "<i4"), ("received_us", "<i8"), *FRAME_TYPE.descr]))
        rows["person"], rows["received_us"] = self._numbers, self._received_us
        for name in FRAME_TYPE.names or ():
            rows[name] = frame[name]
        return rows

    def facts(self) -> Mapping[str, Any]:
        """What was sent and said."""
        lost = Counter(raw.reason for raw in self._sockets.ended if not raw.reason.startswith(FINE))
        return {
            "sessions": {p.session_id: {"face": p.faces, "speech": p.hops, "skipped": p.skipped} for p in self._people},
            "order": [person.session_id for person in self._people],
            "refused": dict(self.refused),
            "said": dict(self.said),
            "lost_connections": dict(lost),
            "unread": self.unread,
            "behind_ms": round(float(np.percentile(np.array(self.late_us or [0]), 99)) / 1e3, 2),
        }


def _framed(payload: bytes) -> tuple[bytes, bytes]:
    """What stands before and behind the media header of features, WebSocket framing included."""
    whole = masked(BINARY, bytes(HEADER.size) + payload)
    return whole[: len(whole) - len(payload) - HEADER.size], payload


def _sent(raw: RawSocket | None, frame: bytes) -> bool:
    if raw is None or raw.closed:
        return False
    raw.send(frame)
    return True


def _start(server: str, number: int) -> Mapping[str, Any]:
    """The edge's answer to one who wants a session."""
    parts = urlsplit(server)
    source = (f"127.0.0.{2 + number % SOURCES}", 0)
    body = json.dumps({"consent": {"audio": True, "video": True}, "on_device": {"face": True, "speech": True}}).encode()
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30, source_address=source)
    try:
        connection.request("POST", "/v1/sessions", body, {"Content-Type": "application/json"})
        answer: Mapping[str, Any] = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException) as error:
        return {"code": type(error).__name__}
    finally:
        connection.close()
    return answer


def main(server: str, count: int, out: Path) -> None:
    """Be there until SIGTERM."""
    stop: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: stop.append(number))
    people = People(server)
    people.arrive(count)
    sys.stdout.write("READY\n")
    sys.stdout.flush()
    turn, next_turn_s = 0, time.monotonic()
    while not stop:
        people.step(time.time_ns() // 1_000)
        people.receive(0)
        if time.monotonic() >= next_turn_s:
            next_turn_s += 1 / ACKS_A_SECOND
            turn = (turn + 1) % ACKS_A_SECOND
            people.acknowledge(turn, ACKS_A_SECOND)
        time.sleep(REST_S)
    people.leave()
    out.with_suffix(".json").write_text(json.dumps(people.facts()), encoding="utf-8")
    np.save(out, people.rows())


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
