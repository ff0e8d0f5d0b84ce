import pytest

from ingest.admission import Admission, Rates, Refused, check_jpeg, check_kind, check_opus, check_pcm
from schemas.media_framing import MediaKind
from schemas.vocabulary import Modality, Outcome
from tests.support.pictures import jpeg, tone


@pytest.mark.parametrize("milliseconds", [20, 40, 60])
def test_chunks_of_20_to_60_ms_are_taken(milliseconds):
    check_pcm(tone(milliseconds))


@pytest.mark.parametrize(
    "payload, outcome",
    [(tone(61), Outcome.TOO_LARGE), (tone(19), Outcome.MALFORMED), (tone(20) + b"x", Outcome.MALFORMED)],
)
def test_other_chunks_are_refused(payload, outcome):
    with pytest.raises(Refused) as refused:
        check_pcm(payload)
    assert refused.value.outcome is outcome


def test_pictures_are_judged_by_their_header():
    assert check_jpeg(jpeg(320, 240)) == (320, 240)
    for payload, outcome in (
        (jpeg(320, 240) + bytes(100_000), Outcome.TOO_LARGE),
        (jpeg(5_000, 16, quality=1), Outcome.TOO_LARGE),
        (jpeg(15, 300), Outcome.MALFORMED),
        (b"GIF89a", Outcome.MALFORMED),
    ):
        with pytest.raises(Refused) as refused:
            check_jpeg(payload)
        assert refused.value.outcome is outcome


def test_packets_are_judged_by_their_size():
    check_opus(bytes(3_825))
    with pytest.raises(Refused, match="3826"):
        check_opus(bytes(3_826))


def test_each_kind_has_its_check():
    assert check_kind(MediaKind.JPEG, jpeg(20, 30)) == (20, 30)
    assert check_kind(MediaKind.PCM16, tone()) == (0, 0)
    assert check_kind(MediaKind.OPUS, b"\x00") == (0, 0)


def test_rates_are_those_of_the_session():
    admission = Admission(Rates(video_per_s=10, video_burst=2, bytes_per_s=100, bytes_burst=250))
    admission.check_rate(Modality.FACE, 100, 0)
    admission.check_rate(Modality.FACE, 100, 0)
    with pytest.raises(Refused, match="messages"):
        admission.check_rate(Modality.FACE, 1, 0)
    with pytest.raises(Refused, match="bytes"):
        admission.check_rate(Modality.SPEECH, 100, 0)
    admission.check_rate(Modality.FACE, 50, 200_000)


def test_faults_are_borne_for_a_while():
    admission = Admission(Rates(faults_per_s=1, fault_burst=3))
    assert [admission.tolerates_fault(0) for _ in range(4)] == [True, True, True, False]
    assert admission.tolerates_fault(1_000_000)


def test_recordings_may_be_sent_faster():
    admission = Admission(Rates(audio_per_s=1, audio_burst=1), speed=10)
    for _ in range(10):
        admission.check_rate(Modality.SPEECH, 1, 0)
    with pytest.raises(Refused):
        admission.check_rate(Modality.SPEECH, 1, 0)
