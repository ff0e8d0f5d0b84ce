"""The product's errors.

AffectstreamError
├── SettingsError        the environment or a command line says something that cannot be used
├── PrerequisiteError    something must be installed or fetched first; the message says what and how
├── BrokerError          Kafka refused, failed or could not be reached
│   ├── QueueFull        the producer's bounded queue is full: slow down or shed
│   ├── DeliveryFailed   a record was not acknowledged
│   ├── Fenced           another process has taken over what this one held
│   └── TopicMismatch    a topic exists, but not as topics.yaml says
├── RecoveryError        what a restarted role would go on from is missing, damaged or belongs elsewhere
│   └── OwnershipLost    another process fuses these partitions now
├── TokenError           a token that does not open what it was shown to
├── KeyStoreError        the keys of sessions cannot be read or written
├── SealBroken           a sealed value was altered, moved, or sealed with another key
├── ModelError           a model file is missing, altered or does not answer as its manifest says
└── ModelServerError     a server of models cannot be asked, refuses, or answers otherwise than it says: it may mend

Messages say what, where and what to do, and carry facts rather than protocol codes: the edge translates.
"""

from typing import Final

FORBIDDEN: Final = frozenset(
    {
        "wrong_session", "wrong_audience", "missing_scope", "no_tenant", "not_operator", "not_observer", "not_analyst",
        "not_platform",
    }
)  # fmt: skip
"""Reasons of a TokenError that are not the token's fault."""


class AffectstreamError(Exception):
    """Base of every error that the product raises on purpose."""


class SettingsError(AffectstreamError):
    """A setting that cannot be used."""


class PrerequisiteError(AffectstreamError):
    """Something must be installed or fetched first."""


class BrokerError(AffectstreamError):
    """Kafka refused, failed or could not be reached."""


class QueueFull(BrokerError):  # noqa: N818 - a condition, and the field's word for it
    """The producer's bounded queue is full."""


class DeliveryFailed(BrokerError):  # noqa: N818 - the same
    """At least one record was not acknowledged."""


class Fenced(BrokerError):  # noqa: N818 - the same
    """Another process has taken over what this one held, and Kafka refuses this one from now on."""


class TopicMismatch(BrokerError):  # noqa: N818 - the same
    """A topic exists, but not as it should be."""


class RecoveryError(AffectstreamError):
    """What a restarted role would go on from is missing, damaged or belongs elsewhere; nothing was changed."""


class OwnershipLost(RecoveryError):  # noqa: N818 - the same
    """Another process fuses these partitions now."""


class TokenError(AffectstreamError):
    """A token that does not open what it was shown to; ``reason`` is a stable word for counting."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason

    @property
    def forbidden(self) -> bool:
        """Whether the token is a good one, but not for this: to ask for a new one is in vain."""
        return self.reason in FORBIDDEN


class KeyStoreError(AffectstreamError):
    """The keys of sessions cannot be read or written; nothing was changed."""


class SealBroken(AffectstreamError):  # noqa: N818 - a condition, and the field's word for it
    """A sealed value that does not open with this key: altered, moved, or sealed with another."""


class ModelError(AffectstreamError):
    """A model file is missing, altered or does not answer as declared."""


class ModelServerError(AffectstreamError):
    """A server of models could not be asked, refused, or answered something else than it says of the model."""
