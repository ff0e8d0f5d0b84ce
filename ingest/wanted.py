"""What is asked of an item before anything looks into it: consent, and room for pictures at a busy edge."""

from collections.abc import Mapping
from typing import Final

from ingest.admission import Refused
from ingest.edge import Edge
from ingest.sessions import Session
from schemas.vocabulary import Modality, Outcome

WIRE_NAMES: Final[Mapping[Modality, str]] = {Modality.SPEECH: "audio", Modality.FACE: "video"}


def check_consent(session: Session, modality: Modality) -> None:
    """Raise Refused unless there is consent to this modality."""
    if not session.consent.allows(modality):
        raise Refused(Outcome.NO_CONSENT, f"no consent was given for {WIRE_NAMES[modality]}")


def check_headroom(edge: Edge, session: Session, modality: Modality, now_us: int) -> None:
    """Raise Refused if the edge gives this picture up, as it has too much to do."""
    if modality is Modality.FACE and not edge.keeps_picture(session, now_us):
        raise Refused(Outcome.SHED, "the service is busy: it takes fewer pictures for a while")
