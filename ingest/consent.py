"""What a person allows. Consent is given once, when the session is made; afterwards it can only be withdrawn."""

from collections.abc import Iterable
from dataclasses import dataclass

from runtime.tokens import Scope
from schemas.vocabulary import Modality


@dataclass(frozen=True, slots=True)
class Consent:
    """Scopes given; none by default."""

    audio: bool = False
    video: bool = False
    store_raw: bool = False
    fairness: bool = False
    """The group that the person declares may be used to compare errors between groups."""

    @classmethod
    def of_scopes(cls, scopes: Iterable[str]) -> "Consent":
        """The consent that a token's scopes hold."""
        held = set(scopes)
        return cls(
            audio="audio" in held, video="video" in held, store_raw="store_raw" in held, fairness="fairness" in held
        )

    def scopes(self) -> frozenset[Scope]:
        """The scopes of a token with this consent."""
        given: list[Scope] = []
        if self.audio:
            given.append("audio")
        if self.video:
            given.append("video")
        if self.store_raw:
            given.append("store_raw")
        if self.fairness:
            given.append("fairness")
        return frozenset(given)

    def allows(self, modality: Modality) -> bool:
        """Whether media of this modality may be taken."""
        return self.audio if modality is Modality.SPEECH else self.video

    def nothing_left(self) -> bool:
        """Neither sound nor pictures may be taken."""
        return not (self.audio or self.video)

    def narrowed(
        self,
        *,
        audio: bool | None = None,
        video: bool | None = None,
        store_raw: bool | None = None,
        fairness: bool | None = None,
    ) -> "Consent":
        """The consent less what is withdrawn (false); true and None change nothing: it never widens."""
        return Consent(
            audio=self.audio and audio is not False,
            video=self.video and video is not False,
            store_raw=self.store_raw and store_raw is not False,
            fairness=self.fairness and fairness is not False,
        )
