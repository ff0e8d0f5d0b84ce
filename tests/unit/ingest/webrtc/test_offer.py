"""What WHIP clients send, checked: offers and trickled candidates."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.webrtc.offer import (
    MAX_CANDIDATES,
    OfferError,
    new_credentials,
    parse_fragment,
    parse_offer,
    restart_answer,
    usable,
    with_baseline,
)
from schemas.vocabulary import Modality

CRLF = "\r\n"
HEAD = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
ICE = "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\n"
HOST = "candidate:1 1 udp 2130706431 192.0.2.1 50000 typ host"


def section(kind: str, mid: str, direction: str = "sendonly", *, port: int = 9, more: str = "") -> str:
    return f"m={kind} {port} UDP/TLS/RTP/SAVPF 96\r\na=mid:{mid}\r\na={direction}\r\n{ICE}{more}"


def refused(sdp: str) -> tuple[int, str]:
    with pytest.raises(OfferError) as caught:
        parse_offer(sdp)
    return caught.value.status, caught.value.code


def test_an_offer_says_what_will_be_sent() -> None:
    offer = parse_offer(HEAD + section("audio", "0") + section("video", "1", "recvonly"))
    assert offer.modalities == {Modality.SPEECH}
    assert not offer.data
    assert offer.user_fragment == "abcd"
    assert offer.mids == ("0", "1")


def test_data_channels_alone_are_an_offer() -> None:
    offer = parse_offer(HEAD + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:0\r\n" + ICE)
    assert offer.data
    assert not offer.modalities


def test_a_direction_for_all_sections_counts_where_none_is_said() -> None:
    plain = "m=audio 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:0\r\n"
    assert parse_offer(HEAD + plain).modalities == {Modality.SPEECH}
    assert refused(HEAD + "a=recvonly\r\n" + plain) == (400, "nothing_to_send")


def test_offers_that_cannot_be_answered() -> None:
    assert refused("") == (400, "malformed_sdp")
    assert refused("v=1\r\n") == (400, "malformed_sdp")
    assert refused(HEAD) == (400, "nothing_to_send")
    assert refused(HEAD + section("audio", "0", port=0)) == (400, "nothing_to_send")
    assert refused(HEAD + section("text", "0")) == (400, "malformed_sdp")
    assert refused(HEAD + "m=audio\r\n") == (400, "malformed_sdp")
    assert refused(HEAD + section("video", "0") + section("video", "1")) == (406, "too_many_tracks")
    assert refused(HEAD + "a=group:BUNDLE 0 7\r\n" + section("video", "0")) == (400, "malformed_sdp")
    assert refused(HEAD + section("video", "0") + section("audio", "0")) == (400, "malformed_sdp")
    many = "".join(section("video", str(i), "recvonly") for i in range(9))
    assert refused(HEAD + many) == (406, "too_many_tracks")


def test_candidates_that_are_not_tried_are_taken_out() -> None:
    hidden = "candidate:2 1 udp 2130706431 0d6b7cae-1111-4222-8333-c0ffee000000.local 50001 typ host"
    tcp = "candidate:3 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active"
    listed = "".join(f"a={candidate}\r\n" for candidate in (HOST, hidden, tcp))
    sdp = parse_offer(HEAD + section("audio", "0", more=listed)).sdp
    assert HOST in sdp
    assert ".local" not in sdp
    assert "tcptype" not in sdp


def test_candidates_are_bounded() -> None:
    listed = "".join(f"a={HOST}\r\n" for _ in range(500))
    assert parse_offer(HEAD + section("audio", "0", more=listed)).sdp.count("a=candidate") == MAX_CANDIDATES


@pytest.mark.parametrize(
    "candidate, wanted",
    [
        (HOST, True),
        (HOST.replace("udp", "UDP"), True),
        (HOST.replace("192.0.2.1", "2001:db8::1"), True),
        (HOST + " generation 0 ufrag abcd network-id 1", True),
        (HOST.replace("50000", "0"), False),
        (HOST.replace("50000", "70000"), False),
        (HOST.replace("192.0.2.1", "localhost"), False),
        (HOST.replace("host", "magic"), False),
        ("", False),
    ],
)
def test_usable_candidates(candidate: str, wanted: bool) -> None:
    assert usable(candidate) is wanted


def test_fragments_name_the_section_of_each_candidate() -> None:
    body = (
        f"{ICE}m=audio 9 RTP/AVP 0\r\na=mid:0\r\na={HOST}\r\nm=video 9 RTP/AVP 0\r\na={HOST}\r\na=end-of-candidates\r\n"
    )
    fragment = parse_fragment(body)
    assert fragment.user_fragment == "abcd"
    assert fragment.candidates == (("0", HOST), (None, HOST))
    assert fragment.complete


def test_a_restart_needs_new_credentials() -> None:
    password = "0123456789012345678901"
    assert new_credentials(parse_fragment(f"a=ice-ufrag:abcd\r\na=ice-pwd:{password}\r\n")) == ("abcd", password)
    for body in ("", "a=ice-ufrag:abcd\n", f"a=ice-pwd:{password}\n", f"a=ice-ufrag:a:cd\na=ice-pwd:{password}\n"):
        with pytest.raises(OfferError, match="ice-pwd"):
            new_credentials(parse_fragment(body))


def test_a_restart_is_answered_with_new_credentials_and_the_old_candidates() -> None:
    rejected = "m=video 0 UDP/TLS/RTP/SAVPF 0\r\na=mid:1\r\n"
    answer = f"{HEAD}{rejected}{section('audio', '0', more=f'a={HOST}' + CRLF + 'a=end-of-candidates' + CRLF)}"
    said = parse_fragment(restart_answer(answer, "new", "secret"))
    assert (said.user_fragment, said.password) == ("new", "secret")
    assert said.candidates == (("0", HOST),)
    assert said.complete


@pytest.mark.parametrize("body", ["hello", "a=candidate:1", f"a={HOST[:30]}"])
def test_fragments_that_cannot_be_used(body: str) -> None:
    with pytest.raises(OfferError):
        parse_fragment(body)


@given(st.text(max_size=400))
def test_no_text_breaks_the_checks(text: str) -> None:
    for sdp in (text, HEAD + text, HEAD + section("audio", "0") + text):
        with contextlib.suppress(OfferError):
            parse_offer(sdp)
        with contextlib.suppress(OfferError):
            parse_fragment(sdp)


def test_other_h264_profiles_are_called_baseline_where_nothing_else_is_offered() -> None:
    def video(*codecs: str) -> str:
        return HEAD + section("video", "0", more="".join(f"a={line}\r\n" for line in codecs))

    high = "rtpmap:106 H264/90000", "fmtp:106 packetization-mode=1;profile-level-id=64001f"
    sdp, profile = with_baseline(video(*high))
    assert profile == "64001f"
    assert "packetization-mode=1;profile-level-id=42e01f" in sdp
    for offered in (
        video("rtpmap:96 VP8/90000", *high),
        video(*high, "rtpmap:107 H264/90000", "fmtp:107 profile-level-id=42c01f"),
        video("rtpmap:96 VP8/90000"),
    ):
        assert with_baseline(offered) == (offered, "")
