"""A WHIP client made of aiortc: tracks, data channels, signalling, and ways to misbehave."""

import asyncio
import fractions
import time
from collections.abc import Sequence
from typing import Any, Self

import av
import httpx
import numpy as np
import orjson
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError

from tests.support.ice import leave_network, restart_ice
from tests.support.waiting import eventually_async

SDP = {"Content-Type": "application/sdp"}
FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}


class _Paced(MediaStreamTrack):
    """Frames at the pace of a device."""

    def __init__(self, per_second: float) -> None:
        super().__init__()
        self._period_s = 1 / per_second
        self._started: float | None = None
        self.sent = 0

    async def _due(self) -> None:
        if self.readyState != "live":
            raise MediaStreamError
        now = time.monotonic()
        if self._started is None:
            self._started = now
        await asyncio.sleep(max(0.0, self._started + self.sent * self._period_s - now))
        self.sent += 1


class Camera(_Paced):
    """Pictures of a colour that changes; ``size`` may be changed at any time."""

    kind = "video"

    def __init__(self, per_second: float = 15, size: tuple[int, int] = (320, 240)) -> None:
        super().__init__(per_second)
        self.size = size

    async def recv(self) -> Any:
        await self._due()
        width, height = self.size
        pixels = np.full((height, width, 3), self.sent * 5 % 255, np.uint8)
        pixels[: height // 2, : width // 2] = 200
        frame = av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(format="yuv420p")
        frame.pts = round((self.sent - 1) * self._period_s * 90_000)
        frame.time_base = fractions.Fraction(1, 90_000)
        return frame


class Microphone(_Paced):
    """A tone of 440 Hz in frames of 20 ms."""

    kind = "audio"

    def __init__(self, rate_hz: int = 48_000) -> None:
        super().__init__(50)
        self._rate_hz = rate_hz

    async def recv(self) -> Any:
        await self._due()
        size = self._rate_hz // 50
        at = (self.sent - 1) * size + np.arange(size)
        sound = (np.sin(2 * np.pi * 440 * at / self._rate_hz) * 8_000).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(sound.reshape(1, -1), "s16", "mono")
        frame.sample_rate = self._rate_hz
        frame.pts = int(at[0])
        frame.time_base = fractions.Fraction(1, self._rate_hz)
        return frame


class WhipClient:
    """One peer connection; ``async with`` closes it politely, :meth:`vanish` as a crash would."""

    def __init__(self, opened: dict[str, Any], *tracks: MediaStreamTrack, codecs: Sequence[str] = ()) -> None:
        """``codecs``: MIME types to offer, for instance ``video/H264``; empty: all."""
        self.url = opened["whip_url"]
        self.headers = {"Authorization": f"Bearer {opened['token']}"}
        self.rtc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.location = ""
        self.etag = ""
        for track in tracks:
            self.rtc.addTrack(track)
        for transceiver in self.rtc.getTransceivers():
            offered = RTCRtpSender.getCapabilities(transceiver.kind).codecs
            wanted = [codec for codec in offered if codec.mimeType in codecs]
            if wanted:
                transceiver.setCodecPreferences(wanted)
        self.control: list[dict[str, Any]] = []
        self.avatar: list[str | bytes] = []
        self.channels: dict[str, RTCDataChannel] = {}

    def open_control(self, *, clock: bool = True) -> RTCDataChannel:
        """The control channel; ``clock``: probes are answered."""
        channel = self.rtc.createDataChannel("affectstream.control")

        def received(text: str) -> None:
            message = orjson.loads(text)
            self.control.append(message)
            if clock and message["type"] == "clock_probe":
                answer = {"type": "clock", "server_us": message["server_us"], "client_us": time.time_ns() // 1_000}
                channel.send(orjson.dumps(answer).decode())

        channel.on("message", received)
        self.channels["control"] = channel
        return channel

    def open_avatar(self, protocol: str = "") -> RTCDataChannel:
        """The avatar channel."""
        channel = self.rtc.createDataChannel("affectstream.avatar", ordered=False, maxRetransmits=0, protocol=protocol)
        channel.on("message", self.avatar.append)
        self.channels["avatar"] = channel
        return channel

    async def offer(self) -> str:
        """A complete offer, with candidates on loopback."""
        description = await self.rtc.createOffer()
        for transport in self.transports():
            ice: Any = transport.transport._connection
            gather = ice.get_component_candidates

            async def on_loopback(component: int, addresses: list[str], gather: Any = gather) -> list[Any]:
                return await gather(component=component, addresses=["127.0.0.1"])

            ice.get_component_candidates = on_loopback
        await self.rtc.setLocalDescription(description)
        return self.rtc.localDescription.sdp

    def transports(self) -> list[Any]:
        found = [transceiver.receiver.transport for transceiver in self.rtc.getTransceivers()]
        if self.rtc.sctp is not None:
            found.append(self.rtc.sctp.transport)
        return list(dict.fromkeys(found))

    async def post(self, sdp: str) -> httpx.Response:
        async with httpx.AsyncClient(trust_env=False, timeout=20) as http:
            return await http.post(self.url, content=sdp, headers=self.headers | SDP)

    async def request(self, method: str, url: str | None = None, **kwargs: Any) -> httpx.Response:
        """A request to the peer's resource."""
        headers = self.headers | kwargs.pop("headers", {})
        async with httpx.AsyncClient(trust_env=False, timeout=20) as http:
            return await http.request(method, url or self.location, headers=headers, **kwargs)

    async def publish(self, sdp: str | None = None) -> httpx.Response:
        """Offer, and take the answer; returns the response."""
        response = await self.post(sdp or await self.offer())
        assert response.status_code == 201, response.text
        self.location = str(httpx.URL(self.url).join(response.headers["Location"]))
        self.etag = response.headers["ETag"]
        await self.rtc.setRemoteDescription(RTCSessionDescription(response.text, "answer"))
        return response

    def leave_network(self) -> None:
        """Nothing is sent or received on the sockets of now any more, as when a device has left its network."""
        for transport in self.transports():
            leave_network(transport.transport._connection)

    async def restart_ice(self) -> httpx.Response:
        """Restart ICE from new sockets, as a device does in another network; returns the response."""
        responses: list[httpx.Response] = []

        async def negotiate(body: str) -> str | None:
            response = await self.request("PATCH", content=body, headers=FRAGMENT | {"If-Match": "*"})
            responses.append(response)
            if response.status_code != 200:
                return None
            self.etag = response.headers["ETag"]
            return response.text

        (transport,) = self.transports()
        await restart_ice(transport.transport._connection, negotiate)
        return responses[0]

    async def connected(self) -> None:
        await eventually_async(lambda: self.rtc.connectionState == "connected", deadline_s=20, what="connected")

    async def told(self, kind: str, deadline_s: float = 20) -> dict[str, Any]:
        """The first control message of this kind."""
        found = await eventually_async(
            lambda: [message for message in self.control if message["type"] == kind],
            deadline_s=deadline_s,
            what=f"control message {kind}",
        )
        return found[0]

    def vanish(self) -> None:
        """Send and answer nothing more, as when the cable is pulled."""
        for transport in self.transports():
            ice: Any = transport.transport._connection
            for protocol in ice._protocols:
                protocol.transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.rtc.close()
