"""HTTP errors as problem+json (RFC 9457): what is wrong, where, and what to do."""

from collections.abc import Mapping

from starlette.responses import JSONResponse


class Problem(Exception):  # noqa: N818 - RFC 9457's word
    """An answer other than success."""

    def __init__(
        self, status: int, code: str, title: str, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(f"{title}: {detail}")
        self.status = status
        self.code = code
        self.title = title
        self.detail = detail
        self.headers = headers

    def response(self, path: str) -> JSONResponse:
        """The answer; ``code`` is a stable word for programs."""
        return JSONResponse(
            {
                "type": "about:blank",
                "status": self.status,
                "code": self.code,
                "title": self.title,
                "detail": self.detail,
                "instance": path,
            },
            status_code=self.status,
            media_type="application/problem+json",
            headers=self.headers,
        )
