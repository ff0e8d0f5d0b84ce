"""HTTP errors as problem+json (RFC 9457): what is wrong, where, and what to do."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from starlette.responses import JSONResponse

MOST_FAULTS: Final = 10
MOST_CHARACTERS: Final = 2_000


def faults_of(errors: Sequence[Mapping[str, Any]]) -> str:
    """What pydantic found, as one line: where and what, but never what was sent, which JSON may not even hold."""
    faults = [f"{'.'.join(str(part) for part in e['loc'])}: {e['msg']}" for e in errors[:MOST_FAULTS]]
    more = f"; and {len(errors) - MOST_FAULTS} more" if len(errors) > MOST_FAULTS else ""
    return "; ".join(faults)[:MOST_CHARACTERS] + more


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
