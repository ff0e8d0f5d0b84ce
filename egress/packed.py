"""A frame in 192 bytes and the session's id: for viewers that draw 30 of them a second. Pure.

The values are the log's own (255ths, hundredths of a degree, ten-thousandths), so that a frame is packed, sent in one
datagram, and unpacked in a few microseconds each. Described in docs/protocol.md.
"""

import struct
from typing import Final

from egress.projection import Instants
from schemas.records import AvatarFrame

VERSION: Final = 1
DISCONTINUITY: Final = 1
FACE_LIVE: Final = 2
SPEECH_LIVE: Final = 4
VISEME_MOUTH: Final = 8

_FRAME: Final = struct.Struct("<BBBxIqff5f5f7s8s20s52s15s10s16s")
FRAME_BYTES: Final = _FRAME.size


def pack(frame: AvatarFrame, instants: Instants) -> bytes:
    """The message for one frame; what ``avatar_frame`` and ``emotion_update`` say is in it."""
    session = frame.session_id.encode()
    flags = (
        DISCONTINUITY * frame.discontinuity
        | FACE_LIVE * frame.face_live
        | SPEECH_LIVE * frame.speech_live
        | VISEME_MOUTH * frame.viseme_mouth
    )
    captured_us = frame.captured_at_us
    return (
        _FRAME.pack(
            VERSION,
            flags,
            len(session),
            frame.sequence,
            captured_us,
            (instants.fused_at_us - captured_us) / 1_000,
            (instants.relayed_at_us - captured_us) / 1_000,
            *frame.face_hops_ms,
            *frame.speech_hops_ms,
            frame.emotions,
            frame.levels,
            frame.aus,
            frame.blendshapes,
            frame.visemes,
            frame.affect,
            frame.angles,
        )
        + session
    )
