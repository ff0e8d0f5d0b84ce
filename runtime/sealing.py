"""Authenticated encryption of what must become unreadable when a key is destroyed: AES-256-GCM. Pure.

A sealed value is the nonce (12 random bytes), the ciphertext and its tag (16 bytes). It is bound to what it belongs to
(the associated data): moved to another session, modality or place it does not open.
"""

import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from runtime.errors import SealBroken
from schemas.vocabulary import Modality

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
OVERHEAD: Final = NONCE_BYTES + TAG_BYTES
"""Bytes that sealing adds."""


def new_key() -> bytes:
    """256 random bits."""
    return os.urandom(KEY_BYTES)


def combined_key(keys: list[bytes], purpose: str) -> bytes:
    """A key that needs every one of ``keys``, in whatever order (HKDF, RFC 5869)."""
    derivation = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=purpose.encode())
    return derivation.derive(b"".join(sorted(keys)))


def media_binding(session_id: str, modality: Modality, sequence: int) -> bytes:
    """What a sealed picture or chunk of sound is bound to."""
    return f"{session_id}|{modality.value}|{sequence}".encode()


class Seal:
    """Seals and opens with one key. Safe to share between threads.

    Nonces are random: a key may seal 2**32 values (NIST SP 800-38D, 8.3); a session at 30 pictures a second would
    need four years for that.
    """

    __slots__ = ("_cipher",)

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, plain: bytes, bound_to: bytes) -> bytes:
        """``plain``, unreadable without the key."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, bound_to)

    def open(self, sealed: bytes, bound_to: bytes) -> bytes:
        """What was sealed; raises SealBroken if the key is another, or a bit of it or of ``bound_to`` differs."""
        if len(sealed) < OVERHEAD:
            raise SealBroken(f"{len(sealed)} bytes are too few for a sealed value")
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound_to)
        except InvalidTag as error:
            raise SealBroken("a sealed value was altered, moved, or sealed with another key") from error
