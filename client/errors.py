"""What can go wrong between a client and the service."""


class ClientError(Exception):
    """Base of the client library's errors."""


class SessionRefused(ClientError):  # noqa: N818 - reads as what happened
    """The service did not start the session; ``status`` is HTTP's, ``code`` the service's word for it."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class ConnectionRefused(ClientError):  # noqa: N818 - the same
    """The service closed the connection for good; ``code`` is the WebSocket's close code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason
