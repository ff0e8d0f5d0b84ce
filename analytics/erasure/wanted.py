"""Which records are to go, when only digests of their sessions may be known."""

from collections.abc import Iterable, Mapping
from typing import Final

from runtime.erasures import Erasure
from runtime.keystore import KeyStore
from schemas.codec import Codec, DecodeError
from schemas.records import FaceSignal, Signal, SpeechSignal
from schemas.topics import MEDIA_AUDIO, MEDIA_VIDEO, SIGNALS, Topic

REMEMBERED: Final = 200_000
MEDIA_OF: Final[Mapping[str, Topic]] = {"audio": MEDIA_AUDIO, "video": MEDIA_VIDEO}
PAYLOAD_OF: Final[Mapping[str, type]] = {"audio": SpeechSignal, "video": FaceSignal}


class Wanted:
    """The sessions of some requests. After a restart nobody remembers their ids: any key is held against the digests.

    Not thread-safe.
    """

    def __init__(self, store: KeyStore, codec: Codec, requests: Iterable[Erasure]) -> None:
        self._store = store
        self._codec = codec
        self._scopes: dict[str, set[str]] = {}
        for request in requests:
            self._scopes.setdefault(request.digest, set()).add(request.scope)
        self._digest_of: dict[bytes, str | None] = {}

    def digest(self, key: bytes) -> str | None:
        """The digest of a wanted session's key, None of any other."""
        try:
            return self._digest_of[key]
        except KeyError:
            if len(self._digest_of) >= REMEMBERED:
                self._digest_of.clear()
            found = self._store.digest(key.decode(errors="replace"))
            self._digest_of[key] = found if found in self._scopes else None
            return self._digest_of[key]

    def whole(self, digest: str) -> bool:
        """Whether the session is to be erased as a whole."""
        return "session" in self._scopes[digest]

    @property
    def whole_sessions(self) -> frozenset[str]:
        """Digests of the sessions that are to be erased as a whole."""
        return frozenset(digest for digest in self._scopes if self.whole(digest))

    def scopes(self, digest: str) -> frozenset[str]:
        """What of the session is to go."""
        return frozenset(self._scopes[digest])

    def takes(self, topic: Topic, key: bytes, value: bytes | None) -> str | None:
        """The digest of the session if this record of it is to go."""
        digest = self.digest(key)
        if digest is None or self.whole(digest):
            return digest
        scopes = self._scopes[digest]
        if topic == SIGNALS:
            try:
                payload = self._codec.decode(Signal, value).payload
            except DecodeError:
                return digest  # of a session with a withdrawn consent, and nobody can say what it is
            return digest if any(isinstance(payload, PAYLOAD_OF[scope]) for scope in scopes) else None
        return digest if any(MEDIA_OF[scope] == topic for scope in scopes) else None
