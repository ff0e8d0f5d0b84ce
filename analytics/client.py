"""The API from the outside: what ``affectstream report``, ``sql`` and the demo call."""

from typing import Any, Final, Self
from urllib.parse import quote

import httpx

from analytics.errors import DatabaseUnavailable, ExperimentUnknown, QueryRefused, SessionUnknown
from analytics.queries import ExportFormat
from runtime.errors import AffectstreamError, TokenError
from runtime.tls import client_context
from schemas.experiments import Correction

Json = dict[str, Any]
TIMEOUT_S: Final = 60.0
EXPORT_TIMEOUT_S: Final = 660.0


class AnalyticsClient:
    """Asks one analytics role. Thread-safe, as httpx is. Each call blocks for at most :data:`TIMEOUT_S`.

    Raises DatabaseUnavailable if the role or its ClickHouse does not answer, TokenError, SessionUnknown, QueryRefused.
    """

    def __init__(self, url: str, token: str) -> None:
        self._http = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=TIMEOUT_S,
            trust_env=False,
            verify=client_context(),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def sessions(self, *, limit: int = 200) -> list[Json]:
        """The newest sessions first."""
        found: list[Json] = self._ask("GET", "/v1/sessions", params={"limit": limit})
        return found

    def summary(self, session_id: str) -> Json:
        """Figures of one session: :meth:`analytics.queries.Queries.summary`."""
        return self._json("GET", f"/v1/sessions/{session_id}/summary")

    def timeline(self, session_id: str, *, points: int) -> Json:
        """One session along time: :meth:`analytics.queries.Queries.timeline`."""
        return self._json("GET", f"/v1/sessions/{session_id}/timeline", params={"points": points})

    def balance(self, session_id: str, *, media: bool = False) -> Json:
        """Whether the ledger accounts for everything: :func:`analytics.balance.balance`."""
        return self._json("GET", f"/v1/sessions/{session_id}/balance", params={"media": media})

    def ledger(self, session_id: str) -> Json:
        """What became of every item of one session."""
        return self._json("GET", f"/v1/ledger/{session_id}")

    def counts(self) -> Json:
        """Rows against records: :meth:`analytics.queries.Queries.counts`."""
        return self._json("GET", "/v1/counts")

    def experiments(self) -> Json:
        """Every experiment: :meth:`analytics.experiments.rows.ExperimentQueries.experiments`."""
        return self._json("GET", "/v1/experiments")

    def experiment(self, name: str, *, confidence: float = 0.95, correction: Correction = "holm") -> Json:
        """What came of one; raises ExperimentUnknown."""
        params = {"confidence": confidence, "correction": correction}
        path = f"/v1/experiments/{quote(name, safe='')}"
        return self._json("GET", path, params=params, timeout=EXPORT_TIMEOUT_S)

    def sql(self, statement: str) -> Json:
        """The answer to one SELECT."""
        return self._json("POST", "/v1/sql", json={"sql": statement})

    def erase(self, session_id: str) -> Json:
        """Ask for a session to be erased; what is sealed of it is unreadable from now on."""
        return self._json("POST", f"/v1/sessions/{session_id}/erasure")

    def erase_subject(self, subject: str) -> list[Json]:
        """The same for every session of a subject."""
        found: list[Json] = self._ask("POST", "/v1/erasures", json={"subject": subject})
        return found

    def erasure(self, session_id: str) -> Json:
        """How far the erasure of a session is."""
        return self._json("GET", f"/v1/sessions/{session_id}/erasure")

    def erasures(self, *, limit: int = 100) -> list[Json]:
        """The newest requests."""
        found: list[Json] = self._ask("GET", "/v1/erasures", params={"limit": limit})
        return found

    def verify_erasure(self, session_id: str) -> Json:
        """What every store still holds of a session."""
        return self._json("POST", f"/v1/sessions/{session_id}/erasure/verify", timeout=EXPORT_TIMEOUT_S)

    def export(self, statement: str, kind: ExportFormat) -> bytes:
        """The answer to one SELECT as a Parquet or Arrow file."""
        body = {"sql": statement, "format": kind}
        return self._answer("POST", "/v1/export", json=body, timeout=EXPORT_TIMEOUT_S).content

    def _json(self, method: str, path: str, **more: Any) -> Json:
        answer: Json = self._ask(method, path, **more)
        return answer

    def _ask(self, method: str, path: str, **more: Any) -> Any:
        return self._answer(method, path, **more).json()

    def _answer(self, method: str, path: str, **more: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **more)
        except httpx.HTTPError as error:
            raise DatabaseUnavailable(f"no answer from the analytics API at {self._http.base_url}: {error}") from error
        if answer.is_success:
            return answer
        try:
            problem = answer.json()
        except ValueError:
            problem = {}
        detail = str(problem.get("detail", answer.text[:500]))
        if answer.status_code in {401, 403}:
            raise TokenError(str(problem.get("code", "unauthorized")), detail)
        if problem.get("code") == "unknown_experiment":
            raise ExperimentUnknown(detail)
        if answer.status_code == 404:
            raise SessionUnknown(detail)
        if answer.status_code == 400:
            raise QueryRefused(detail)
        if answer.status_code == 503:
            raise DatabaseUnavailable(detail)
        raise AffectstreamError(f"the analytics API answered {answer.status_code}: {detail}")
