"""Errors of this package.

AffectstreamError (runtime.errors)
├── DatabaseUnavailable   ClickHouse cannot be opened or reached now
├── MigrationError        the migrations on disk do not fit what the database has applied
├── QueryRefused          a statement that the read-only door does not let through, or that exceeded a limit
├── NotFusible            a session that cannot be fused again so; the message says why
├── SessionUnknown        no row of that session
├── ExperimentUnknown     no experiment of that name
└── RowError              a readable record that no row can be made of
"""

from runtime.errors import AffectstreamError


class DatabaseUnavailable(AffectstreamError):  # noqa: N818 - a condition
    """ClickHouse cannot be opened or reached now."""


class MigrationError(AffectstreamError):
    """The migrations on disk do not fit what the database has applied."""


class QueryRefused(AffectstreamError):  # noqa: N818 - a condition
    """A statement that is not allowed, or that exceeded a limit."""


class NotFusible(AffectstreamError):  # noqa: N818 - a condition
    """A session that cannot be fused again under that configuration, or at all; the message says why."""


class SessionUnknown(AffectstreamError):  # noqa: N818 - a condition
    """There is no row of that session."""


class RowError(AffectstreamError):
    """A readable record that no row can be made of; the message says which field, never its content."""


class ExperimentUnknown(AffectstreamError):  # noqa: N818 - a condition
    """There is no experiment of that name, neither defined nor in any row."""
