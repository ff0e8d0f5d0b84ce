"""A process of WHIP clients: ``python -m benchmarks.ingest.peers URL MEDIA OUT COUNT FIRST OF CODEC SECONDS``.

Each sends encoded video and sound, paced by its own clock, over an aiortc connection of its own, and has the avatar's
data channel open. COUNT clients, the FIRST-th and following of OF, which spread their frames evenly over a frame's
time. Prints READY when all are connected; a second later they begin, send for SECONDS, end their sessions, and what
they sent is written to OUT as JSON.
"""

import asyncio
import json
import math
import sys
import time
import urllib.request
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import aioice.ice
import av
import uvloop
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.stats import RTCRemoteInboundRtpStreamStats

from benchmarks.ingest.media import FPS, OPUS_RATE_HZ, OPUS_SAMPLES, Media, read

VIDEO_CLOCK_HZ: Final = 90_000
LEAD_S: Final = 1.0
TAIL_S: Final = 2.5
"""After the last frame, for what is under way, and for the edge's last report on it."""

CONNECT_S: Final = 30.0


@dataclass
class Sent:
    """What one client did."""

    session_id: str
    video: int = 0
    audio: int = 0
    lost: dict[str, int] = field(default_factory=dict)
    """Packets that the edge never got, as it reports itself, by kind of track."""
    messages: int = 0
    """Avatar frames that came while it sent."""
    late_ms: list[float] = field(default_factory=list)
    """How much later than due each frame of video was handed to the connection."""


class _Track(MediaStreamTrack):
    """Yields encoded packets when they are due, from ``begin`` for ``seconds``; then nothing more."""

    def __init__(self, kind: str, packets: list[bytes], rate: Fraction, clock_hz: int, sent: Sent) -> None:
        super().__init__()
        self.kind = kind
        self._packets = packets
        self._rate = rate
        self._clock_hz = clock_hz
        self._sent = sent
        self._number = 0
        self.begin: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self.seconds = 0.0

    async def recv(self) -> Any:
        begin = await self.begin
        due = begin + float(self._number / self._rate)
        if due >= begin + self.seconds:
            await asyncio.Event().wait()  # until the connection is closed
        wait = due - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
        packet = av.Packet(self._packets[self._number % len(self._packets)])
        packet.pts = int(self._number * self._clock_hz / self._rate)
        packet.time_base = Fraction(1, self._clock_hz)
        self._number += 1
        if self.kind == "video":
            self._sent.video += 1
            self._sent.late_ms.append((time.perf_counter() - due) * 1e3)
        else:
            self._sent.audio += 1
        return packet


class _Client:
    def __init__(self, url: str, media: Media, codec: str) -> None:
        self._url = url
        self._media = media
        self._codec = codec
        self.sent = Sent("")
        self._welcomed = asyncio.Event()
        self._from = self._until = math.inf

    async def connect(self) -> None:
        body = {"consent": {"audio": True, "video": True}}
        answer = json.loads(await _request(f"{self._url}/v1/sessions", json.dumps(body), "application/json"))
        self.sent.session_id, self._token = answer["session_id"], answer["token"]
        self._rtc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        opus = Fraction(OPUS_RATE_HZ, OPUS_SAMPLES)
        self._tracks = [
            _Track("video", self._media.video, Fraction(FPS), VIDEO_CLOCK_HZ, self.sent),
            _Track("audio", self._media.audio, opus, OPUS_RATE_HZ, self.sent),
        ]
        for track in self._tracks:
            self._rtc.addTrack(track)
        wanted = [c for c in RTCRtpSender.getCapabilities("video").codecs if c.mimeType == f"video/{self._codec}"]
        next(t for t in self._rtc.getTransceivers() if t.kind == "video").setCodecPreferences(wanted)
        channel = self._rtc.createDataChannel(
            "affectstream.avatar", ordered=False, maxRetransmits=0, protocol="affectstream.binary"
        )
        channel.on("message", self._message)
        await self._rtc.setLocalDescription(await self._rtc.createOffer())
        sdp = await _request(answer["whip_url"], self._rtc.localDescription.sdp, "application/sdp", self._token)
        await self._rtc.setRemoteDescription(RTCSessionDescription(sdp, "answer"))
        await asyncio.wait_for(self._welcomed.wait(), CONNECT_S)

    def _message(self, message: str | bytes) -> None:
        if isinstance(message, bytes):
            self.sent.messages += self._from <= time.perf_counter() < self._until
        else:
            self._welcomed.set()

    def begin(self, at: float, seconds: float, share: float) -> None:
        """Send from ``at`` on, ``share`` of a frame's time later than the first client."""
        video, audio = self._tracks
        self._from, self._until = at, at + seconds
        for track, period in ((video, 1 / FPS), (audio, OPUS_SAMPLES / OPUS_RATE_HZ)):
            track.seconds = seconds
            track.begin.set_result(at + share * period)

    async def end(self) -> None:
        for report in (await self._rtc.getStats()).values():
            if isinstance(report, RTCRemoteInboundRtpStreamStats):
                self.sent.lost[report.kind] = max(0, report.packetsLost)
        url = f"{self._url}/v1/sessions/{self.sent.session_id}"
        await _request(url, None, "application/json", self._token, method="DELETE")
        await self._rtc.close()


async def _request(url: str, body: str | None, content_type: str, token: str = "", method: str = "POST") -> str:
    headers = {"content-type": content_type}
    if token:
        headers["authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url, None if body is None else body.encode(), headers, method=method)  # noqa: S310

    def ask() -> str:
        with urllib.request.urlopen(request, timeout=CONNECT_S) as answer:  # noqa: S310
            return str(answer.read().decode())

    return await asyncio.to_thread(ask)


async def serve(clients: list[_Client], first: int, of: int, seconds: float) -> list[Sent]:
    """Connect, send, end; what was sent."""
    for client in clients:  # one after another, as the machine is one
        await client.connect()
    sys.stdout.write("READY\n")
    sys.stdout.flush()
    begin = time.perf_counter() + LEAD_S
    for number, client in enumerate(clients):
        client.begin(begin, seconds, (first + number) / of)
    await asyncio.sleep(LEAD_S + seconds + TAIL_S)
    await asyncio.gather(*(client.end() for client in clients))
    return [client.sent for client in clients]


def main(arguments: list[str]) -> None:
    """The process."""
    url, media, out = arguments[0], Path(arguments[1]), Path(arguments[2])
    count, first, of = (int(argument) for argument in arguments[3:6])
    codec, seconds = arguments[6], float(arguments[7])

    async def run() -> list[Sent]:
        film = read(media)
        return await serve([_Client(url, film, codec) for _ in range(count)], first, of, seconds)

    sent = uvloop.run(run())
    written = out.with_suffix(".part")
    written.write_text(json.dumps([asdict(each) for each in sent]), encoding="utf-8")
    written.rename(out)


if __name__ == "__main__":
    # aioice offers every address but loopback's, which is the one that is wanted here.
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]  # noqa: ARG005
    main(sys.argv[1:])
