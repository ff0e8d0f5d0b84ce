from hypothesis import given
from hypothesis import strategies as st

from ingest.consent import Consent
from schemas.vocabulary import Modality

consents = st.builds(Consent, st.booleans(), st.booleans(), st.booleans(), st.booleans())
asks = st.sampled_from([None, True, False])


def test_nothing_is_given_by_default():
    assert Consent().nothing_left()
    assert not any(Consent().allows(modality) for modality in Modality)
    assert Consent().scopes() == frozenset()


@given(consents)
def test_scopes_hold_the_consent(consent):
    assert Consent.of_scopes(consent.scopes() | {"watch"}) == consent


@given(consents, asks, asks, asks, asks)
def test_consent_only_ever_narrows(consent, audio, video, store_raw, fairness):
    left = consent.narrowed(audio=audio, video=video, store_raw=store_raw, fairness=fairness)
    assert left.fairness == (consent.fairness and fairness is not False)
    assert left.scopes() <= consent.scopes()
    assert left.audio == (consent.audio and audio is not False)
    assert left.allows(Modality.FACE) == (consent.video and video is not False)
