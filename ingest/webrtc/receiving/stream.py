"""Encoded frames to a sink: which are decoded, in which thread, and the one outcome that each gets."""

import logging
from typing import Final, Protocol

from ingest.webrtc.pacing import Pacer
from ingest.webrtc.receiving.continuity import Continuity
from ingest.webrtc.receiving.jitter_buffer import EncodedFrame
from ingest.webrtc.receiving.packet_order import Lost
from ingest.webrtc.receiving.pictures import DECODERS as PICTURE_DECODERS
from ingest.webrtc.receiving.pictures import DecodeError, Jpeg, VideoDecoder, jpeg_of
from ingest.webrtc.receiving.pool import Lane, MediaPool
from ingest.webrtc.receiving.sink import Picture, Sink, Sound
from ingest.webrtc.receiving.sound import DECODERS as SOUND_DECODERS
from ingest.webrtc.receiving.sound import Chunker, SoundDecoder
from schemas.vocabulary import Modality, Outcome

log = logging.getLogger(__name__)

VIDEO_CLOCK_HZ: Final = 90_000
WAITING_FRAMES: Final = 30
"""So many may wait for a decoding thread, two seconds at 15 a second; a lane that is full takes no more until a key
frame, as what follows a skipped frame cannot be decoded."""

TOO_FAR_BEHIND: Final = 2
"""Where so many newer frames wait, a picture is not worth its JPEG any more."""


class Stream(Protocol):
    """What becomes of one track's frames. Used in the event loop's thread."""

    sink: Sink

    def begin(self, codec: str, clock_rate_hz: int) -> bool:
        """A stream of this RTP payload name begins; False if it cannot be decoded here."""
        ...

    def frame(self, frame: EncodedFrame, now_us: int) -> None:
        """Take the next frame."""
        ...

    def lost(self, lost: Lost, now_us: int) -> None:
        """Something is missing before the next frame."""
        ...

    def broken(self, count: int) -> None:
        """Frames came in part, or too late: account for them."""
        ...

    def wants_key_frame(self, now_us: int) -> bool:
        """Whether the sender should be asked for a key frame now; if so, that is taken for done."""
        ...

    def end(self) -> None:
        """No more comes."""
        ...


class _Decoding:
    """A video decoder and what it made of a frame; used in the pool's threads, one frame at a time."""

    def __init__(self, codec: str, max_fps: float) -> None:
        self._codec = codec
        self._pacer = Pacer(max_fps)
        self._decoder: VideoDecoder | None = None

    def __call__(self, frame: EncodedFrame, behind: int) -> tuple[EncodedFrame, Jpeg | None, Outcome]:
        """The picture, or why there is none.

        One that newer ones wait for, or that is one too many a second, is decoded only, as later ones refer to it.
        """
        if self._decoder is None:
            self._decoder = VideoDecoder(self._codec)
        try:
            frames = self._decoder.decode(frame.data)
            if not frames:
                return frame, None, Outcome.UNDECODABLE
            if behind >= TOO_FAR_BEHIND or not self._pacer.wanted(frame.timestamp * 1_000_000 // VIDEO_CLOCK_HZ):
                return frame, None, Outcome.REPLACED_BY_NEWER
            return frame, jpeg_of(frames[-1]), Outcome.USED
        except DecodeError as error:
            log.debug("a frame of %d bytes gives no picture: %s", len(frame.data), error)
            return frame, None, Outcome.UNDECODABLE


class VideoStream:
    """Video frames to pictures, by the pool's threads."""

    def __init__(self, sink: Sink, pool: MediaPool, max_fps: float) -> None:
        self.sink = sink
        self._pool = pool
        self._max_fps = max_fps
        self._continuity = Continuity()
        self._lane: Lane[EncodedFrame, tuple[EncodedFrame, Jpeg | None, Outcome]] | None = None
        self._now_us = 0
        self._ended = False

    def begin(self, codec: str, clock_rate_hz: int) -> bool:
        del clock_rate_hz
        if codec not in PICTURE_DECODERS:
            return False
        self._give_up_waiting()
        self._continuity = Continuity()
        self._lane = self._pool.lane(_Decoding(codec, self._max_fps), self._decoded, WAITING_FRAMES)
        return True

    def frame(self, frame: EncodedFrame, now_us: int) -> None:
        self._now_us = now_us
        if self._lane is None:
            return
        if not self._continuity.admits(frame.key, now_us):
            self.sink.dropped(Modality.FACE, Outcome.GAP, 1)
        elif not self._lane.put(frame):
            self._continuity.lost(now_us)
            self.sink.dropped(Modality.FACE, Outcome.TOO_FAST, 1)

    def lost(self, lost: Lost, now_us: int) -> None:
        del lost
        self._continuity.lost(now_us)

    def broken(self, count: int) -> None:
        self.sink.dropped(Modality.FACE, Outcome.GAP, count)

    def wants_key_frame(self, now_us: int) -> bool:
        return self._continuity.should_ask(now_us)

    def end(self) -> None:
        if not self._ended:
            self._ended = True
            self._give_up_waiting()
            self.sink.ended(Modality.FACE)

    def _give_up_waiting(self) -> None:
        if self._lane is not None:
            left = self._lane.close()
            if left:
                self.sink.dropped(Modality.FACE, Outcome.GAP, left)
            self._lane = None

    def _decoded(self, result: tuple[EncodedFrame, Jpeg | None, Outcome]) -> None:
        frame, jpeg, outcome = result
        if jpeg is not None:
            self.sink.picture(Picture(jpeg.data, jpeg.width, jpeg.height, frame.timestamp, frame.received_us))
            return
        self.sink.dropped(Modality.FACE, outcome, 1)
        if outcome is Outcome.UNDECODABLE:
            self._continuity.lost(self._now_us)


class SoundStream:
    """Packets of sound to pieces, decoded at once: that costs less than to hand them to another thread."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self._decoder: SoundDecoder | None = None
        self._chunker = Chunker(1)
        self._clock_rate_hz = 1
        self._ended = False

    def begin(self, codec: str, clock_rate_hz: int) -> bool:
        if codec not in SOUND_DECODERS:
            return False
        self._decoder = SoundDecoder(codec)
        self._chunker = Chunker(clock_rate_hz)
        self._clock_rate_hz = clock_rate_hz
        return True

    def frame(self, frame: EncodedFrame, now_us: int) -> None:
        del now_us
        if self._decoder is None or self._ended:
            return
        try:
            pcm = self._decoder.decode(frame.data)
        except DecodeError as error:
            log.debug("a packet of %d bytes gives no sound: %s", len(frame.data), error)
            self.sink.dropped(Modality.SPEECH, Outcome.UNDECODABLE, 1)
            return
        for piece, timestamp, received_us in self._chunker.put(pcm, frame.timestamp, frame.received_us):
            self.sink.sound(Sound(piece, timestamp, self._clock_rate_hz, received_us))

    def lost(self, lost: Lost, now_us: int) -> None:
        del lost, now_us
        self._chunker.forget()

    def broken(self, count: int) -> None:
        self.sink.dropped(Modality.SPEECH, Outcome.GAP, count)

    def wants_key_frame(self, now_us: int) -> bool:
        del now_us
        return False

    def end(self) -> None:
        if not self._ended:
            self._ended = True
            self.sink.ended(Modality.SPEECH)
