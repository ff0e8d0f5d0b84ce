"""Records of sound and pictures whose media is sealed with their session's keys: opening them."""

from dataclasses import replace
from typing import TypeVar

from runtime.keystore import PURPOSE_OF, KeyRing
from runtime.sealing import media_binding
from schemas.records import AudioChunk, VideoFrame
from schemas.vocabulary import Modality

Media = AudioChunk | VideoFrame
R = TypeVar("R", bound=Media)


def modality_of(record: Media) -> Modality:
    """What a record is of."""
    return Modality.SPEECH if isinstance(record, AudioChunk) else Modality.FACE


def with_media(record: R, media: bytes) -> R:
    """The record with other media, in the clear."""
    if isinstance(record, AudioChunk):
        return replace(record, pcm=media, sealed=False)
    assert isinstance(record, VideoFrame)
    return replace(record, jpeg=media, sealed=False)


def opened(record: R, keys: KeyRing) -> R | None:
    """The record with its media in the clear; None if there is no key for it (any more).

    Records that were never sealed come back as they are. Raises SealBroken, KeyStoreError.
    """
    if not record.sealed:
        return record
    modality = modality_of(record)
    seal = keys.seal(record.session_id, PURPOSE_OF[modality])
    if seal is None:
        return None
    media = record.pcm if isinstance(record, AudioChunk) else record.jpeg
    return with_media(record, seal.open(media, media_binding(record.session_id, modality, record.sequence)))
