"""Features of on-device clients become signals for the log, as a worker would have made them of the media."""

from functools import partial

from ingest.admission import Refused
from ingest.clockmap import TimelineError
from ingest.consent import Consent
from ingest.edge import Edge
from ingest.features import HOP_US, read_face, read_speech
from ingest.outbox import Item, Outbox
from ingest.sessions import Session
from ingest.wanted import check_consent, check_headroom
from runtime.tokens import Grant
from schemas.topics import SIGNALS
from schemas.vocabulary import Modality, Outcome


class FeatureIntake:
    """Admits the features of one modality of one connection."""

    def __init__(self, edge: Edge, session: Session, outbox: Outbox, modality: Modality) -> None:
        self.modality = modality
        self.way = outbox.ways[modality]
        self._edge = edge
        self._session = session
        self._outbox = outbox
        self._live = session.grant.timeline == "live"
        self._read = read_face if modality is Modality.FACE else read_speech
        self._write = edge.features.write
        self._wanted_by: tuple[Consent | None, Grant | None] = None, None
        """The consent and the grant by which features of this modality were found to be wanted."""

    def room(self) -> bool:
        """Whether an item is taken now.

        Features meet in one topic, where one modality ahead of the other makes fusion take the other for lost. Live
        the newest count, and time passes for both alike; a recording is as fast as its ways, which differ.
        """
        return self.way.room() if self._live else self._outbox.empty()

    def free(self) -> bool:
        """Whether there is room, and an item leaves at once."""
        return self.way.free() and (self._live or self._outbox.empty())

    def check_wanted(self) -> None:
        """Raise Refused unless features of this modality may be taken now."""
        session, modality = self._session, self.modality
        check_consent(session, modality)
        if not session.on_device(modality):
            msg = f"features of {modality} are taken of sessions only that were started with on_device.{modality}"
            raise Refused(Outcome.ON_DEVICE, msg)
        self._wanted_by = session.consent, session.grant

    def admit(self, payload: bytes, sequence: int, client_us: int, received_us: int) -> Item:
        """The item to forward; raises Refused. Consent comes first: nothing else looks into what may not be seen."""
        session, modality = self._session, self.modality
        consent, grant = self._wanted_by
        if session.consent is not consent or session.grant is not grant:  # neither is ever changed, but replaced
            self.check_wanted()
        if self._edge.headroom.shedding:
            check_headroom(self._edge, session, modality, received_us)
        session.admission.check_rate(modality, len(payload), received_us)
        features = self._read(payload)
        if sequence <= session.last_sequence.get(modality, -1):
            raise Refused(Outcome.OUT_OF_ORDER, "the sequence does not rise")
        try:
            captured_us = session.timeline.place(modality, client_us, received_us)
        except TimelineError as error:
            raise Refused(Outcome.MALFORMED, str(error)) from error
        inferred_us = captured_us + features.inference_us
        if self._live and inferred_us > received_us:
            inferred_us = received_us
        number = sequence
        if modality is Modality.SPEECH:
            hop = session.hops.place(captured_us)
            if hop is None:
                raise Refused(Outcome.TOO_FAST, f"more than one hop of speech in {HOP_US // 1_000} ms")
            number, captured_us = hop, hop * HOP_US
        session.last_sequence[modality] = sequence
        session.media_end_us = max(session.media_end_us, captured_us)
        value = partial(self._write, features, session.session_id, number, captured_us, received_us, inferred_us)
        return Item(modality, sequence, SIGNALS, value)
