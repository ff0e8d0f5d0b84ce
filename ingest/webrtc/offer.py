"""What a WHIP client sends, checked before aiortc sees it: SDP offers and trickled candidates. Pure.

RFC 9725 (WHIP), RFC 8840 (trickle ICE: the SDP fragment), RFC 8866 (SDP).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from schemas.vocabulary import Modality

MAX_CANDIDATES: Final = 32
"""Of one peer, trickled ones included: each costs connectivity checks, and names an address that they are sent to."""

MAX_SECTIONS: Final = 8
"""Of an offer: each may cost sockets."""

MODALITIES: Final[Mapping[str, Modality]] = {"audio": Modality.SPEECH, "video": Modality.FACE}
BASELINE: Final = "42e01f"
H264_PROFILE: Final = re.compile(r"\ba=fmtp:\d+ [^\r\n]*profile-level-id=([0-9A-Fa-f]{6})")
VP8: Final = re.compile(r"\ba=rtpmap:\d+ VP8/", re.IGNORECASE)
USER_FRAGMENT: Final = re.compile(r"[A-Za-z0-9+/]{4,256}")
PASSWORD: Final = re.compile(r"[A-Za-z0-9+/]{22,256}")
"""RFC 8839, section 5.4."""

CANDIDATE: Final = re.compile(
    r"candidate:(?P<foundation>\S{1,32}) (?P<component>[0-9]{1,3}) (?P<transport>[A-Za-z]{1,8}) "
    r"(?P<priority>[0-9]{1,10}) (?P<address>[0-9A-Fa-f.:]{2,45}|[0-9A-Za-z-]{1,64}\.local) (?P<port>[0-9]{1,5}) "
    r"typ (?P<type>host|srflx|prflx|relay)(?: .{0,256})?"
)


class OfferError(ValueError):
    """An offer that cannot be answered: HTTP status, a stable word, and what to do."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class Offer:
    """An offer that may be answered."""

    sdp: str
    """As sent, less candidates that this edge does not try."""
    modalities: frozenset[Modality]
    """Those of which media is to be sent."""
    data: bool
    """Whether data channels are offered."""
    user_fragment: str
    mids: tuple[str, ...]
    """Identifiers of the media sections, in order."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """Trickled candidates, and with a restart the credentials that they belong to."""

    user_fragment: str | None
    password: str | None
    candidates: tuple[tuple[str | None, str], ...]
    """Media section (None: not said) and candidate, each as ``candidate:…``."""
    complete: bool
    """Whether no more will come."""


def usable(candidate: str) -> bool:
    """Whether this edge tries a candidate: UDP to an address, not to a browser's mDNS name.

    A browser that hides its addresses behind such names reaches the edge's own candidates all the same, and is then
    known by where it sends from; resolving the names would have this edge ask around by multicast.
    """
    matched = CANDIDATE.fullmatch(candidate)
    return (
        matched is not None
        and matched["transport"].lower() == "udp"
        and not matched["address"].endswith(".local")
        and 0 < int(matched["port"]) < 1 << 16
    )


def with_baseline(sdp: str) -> tuple[str, str]:
    """The offer with its first H.264 profile called constrained baseline, and that profile; or as it is, and "".

    Our decoder reads every profile that encoders for live video write, but aiortc agrees to (constrained) baseline
    only. An offer of VP8, or of baseline besides, needs no help.
    """
    profiles = H264_PROFILE.findall(sdp)
    if not profiles or VP8.search(sdp) or any(profile[:2] == "42" for profile in profiles):
        return sdp, ""
    return sdp.replace(f"profile-level-id={profiles[0]}", f"profile-level-id={BASELINE}", 1), profiles[0]


def parse_offer(sdp: str) -> Offer:
    """Check an offer; raises OfferError. What is not looked at here, aiortc checks."""
    lines = sdp.replace("\r\n", "\n").split("\n")
    if not lines or lines[0] != "v=0":
        raise OfferError(400, "malformed_sdp", "the body must be an SDP offer: it begins with v=0")
    kept: list[str] = []
    sections: list[_Section] = []
    bundled: list[str] = []
    candidates, direction, fragment = 0, "sendrecv", ""
    for line in lines:
        if line.startswith("m="):
            kind, port = _media(line)
            if len(sections) == MAX_SECTIONS:
                raise OfferError(406, "too_many_tracks", f"at most {MAX_SECTIONS} media sections are taken")
            sections.append(_Section(kind, port != "0", direction))
        elif line.startswith("a=candidate:"):
            if not usable(line[2:]):
                continue
            candidates += 1
            if candidates > MAX_CANDIDATES:
                continue
        elif line.startswith("a=ice-ufrag:"):
            fragment = fragment or line[12:]
        elif line.startswith("a=group:BUNDLE"):
            bundled = line.split()[1:]
        elif line.startswith("a=mid:") and sections:
            sections[-1].mid = line[6:]
        elif line in {"a=sendrecv", "a=sendonly", "a=recvonly", "a=inactive"}:
            if sections:
                sections[-1].direction = line[2:]
            else:
                direction = line[2:]
        kept.append(line)
    sending = [MODALITIES[s.kind] for s in sections if s.kind in MODALITIES and s.used and s.sends]
    if len(sending) > len(set(sending)):
        raise OfferError(406, "too_many_tracks", "offer at most one audio and one video track to send")
    data = any(section.kind == "application" and section.used for section in sections)
    if not sending and not data:
        raise OfferError(400, "nothing_to_send", "the offer holds no audio or video track to send, nor data channels")
    mids = tuple(section.mid for section in sections)
    if len(set(mids)) < len(mids) or not set(bundled) <= set(mids):
        raise OfferError(400, "malformed_sdp", "a=mid must tell sections apart, and a=group:BUNDLE name them")
    return Offer("\r\n".join(kept), frozenset(sending), data, fragment, mids)


def parse_fragment(body: str) -> Fragment:
    """Check a trickle ICE SDP fragment; raises OfferError."""
    fragment: str | None = None
    password: str | None = None
    mid: str | None = None
    candidates: list[tuple[str | None, str]] = []
    complete = False
    for raw in body.replace("\r\n", "\n").split("\n"):
        line = raw.strip()
        if line.startswith("m="):
            mid = None
        elif line.startswith("a=mid:"):
            mid = line[6:]
        elif line.startswith("a=ice-ufrag:"):
            fragment = line[12:]
        elif line.startswith("a=ice-pwd:"):
            password = line[10:]
        elif line.startswith("a=candidate:"):
            if CANDIDATE.fullmatch(line[2:]) is None:
                raise OfferError(400, "malformed_sdp", "a=candidate: is not as RFC 8839, section 5.1, has it")
            if usable(line[2:]):
                candidates.append((mid, line[2:]))
        elif line == "a=end-of-candidates":
            complete = True
        elif line and not re.match(r"[a-z]=", line):
            raise OfferError(400, "malformed_sdp", "the body must be an SDP fragment (RFC 8840, section 9)")
    return Fragment(fragment, password, tuple(candidates), complete)


def new_credentials(fragment: Fragment) -> tuple[str, str]:
    """User fragment and password of a fragment that restarts ICE; raises OfferError."""
    user, password = fragment.user_fragment, fragment.password
    if user is None or password is None or not USER_FRAGMENT.fullmatch(user) or not PASSWORD.fullmatch(password):
        raise OfferError(400, "malformed_sdp", 'If-Match: "*" restarts ICE: send a new a=ice-ufrag and a=ice-pwd')
    return user, password


def restart_answer(answer: str, user_fragment: str, password: str) -> str:
    """The fragment that answers a restart: new credentials, and the candidates of the first answer, which stand."""
    lines = answer.replace("\r\n", "\n").split("\n")
    starts = [at for at, line in enumerate(lines) if line.startswith("m=")]
    # Bundled: the first section that is not rejected speaks for all.
    sections = [lines[start:end] for start, end in zip(starts, [*starts[1:], len(lines)], strict=True)]
    section = next((each for each in sections if any(line.startswith("a=candidate:") for line in each)), [])
    kept = ("m=", "a=mid:", "a=candidate:", "a=end-of-candidates")
    said = [line for line in lines if line.startswith(("a=ice-lite", "a=ice-options:"))]
    return "\r\n".join(
        [
            *dict.fromkeys(said),
            f"a=ice-ufrag:{user_fragment}",
            f"a=ice-pwd:{password}",
            *(line for line in section if line.startswith(kept)),
            "",
        ]
    )


@dataclass(slots=True)
class _Section:
    kind: str
    used: bool
    direction: str
    mid: str = ""

    @property
    def sends(self) -> bool:
        return self.direction in {"sendrecv", "sendonly"}


def _media(line: str) -> tuple[str, str]:
    """Kind and port of a media section."""
    words: Sequence[str] = line[2:].split(" ")
    if len(words) < 4 or words[0] not in {"audio", "video", "application"}:
        raise OfferError(400, "malformed_sdp", "media sections must be audio, video or application (data channels)")
    return words[0], words[1]
