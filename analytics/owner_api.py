"""What the HTTP API offers to the owners of sessions: recordings of theirs, and their erasure."""

import shutil
import tempfile
import threading
from pathlib import Path as FilePath
from typing import Annotated, Final, Protocol

from fastapi import Depends, FastAPI, Query
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.background import BackgroundTask

from analytics.access import Access, SessionId
from analytics.answers import Json
from analytics.database import Database
from analytics.erasure.eraser import Eraser, Hindered
from analytics.erasure.verification import verify
from analytics.errors import SessionUnknown
from runtime.errors import AffectstreamError
from runtime.settings import Settings
from runtime.tokens import OPERATOR, Grant

RECORDINGS_AT_ONCE: Final = 2


class TooManyRecordings(AffectstreamError):  # noqa: N818 - a condition
    """As many recordings as may be are being written."""


class Subject(BaseModel):
    """Body of POST /v1/erasures."""

    model_config = ConfigDict(extra="forbid")

    subject: str = Field(min_length=1, max_length=128, description="Whose sessions are to be erased.")


class Recorder(Protocol):
    """Writes recordings."""

    def __call__(self, session_id: str, path: FilePath, *, media: bool) -> None:
        """Write a session that has ended to a file, not sealed; blocks.

        ``media``: with its sound and pictures, where storing them is consented to. Raises RecordingError, BrokerError.
        """
        ...


def add_recording(app: FastAPI, settings: Settings, recorder: Recorder, access: Access) -> None:
    """The route by which a session's owner gets a recording of it."""
    busy = threading.BoundedSemaphore(RECORDINGS_AT_ONCE)

    @app.get("/v1/sessions/{session_id}/recording")
    def recording(session_id: SessionId, grant: Annotated[Grant, Depends(access.grant)]) -> FileResponse:
        """A session that has ended as a recording, for its owner (scope ``manage``) and nobody else.

        Signals and frames always; sound and pictures only if the token has the scope ``store_raw``, and of a modality
        whose consent stood to the end. The file is not sealed: what its owner does with it is theirs.
        """
        grant.require(session_id, "manage")
        if not busy.acquire(blocking=False):
            raise TooManyRecordings(f"{RECORDINGS_AT_ONCE} recordings are being written: come back later")
        folder = tempfile.mkdtemp(prefix="recording-", dir=settings.data_dir)
        try:
            path = FilePath(folder) / "session.afr"
            recorder(session_id, path, media="store_raw" in grant.scopes)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        finally:
            busy.release()
        return FileResponse(
            path, media_type="avro/binary", filename="session.afr",
            background=BackgroundTask(shutil.rmtree, folder, ignore_errors=True),
            headers={"Cache-Control": "no-store"},
        )  # fmt: skip


def add_erasure(app: FastAPI, settings: Settings, database: Database, eraser: Eraser, access: Access) -> None:
    """Erasing sessions: the owner (scope ``manage``) their own, an operator any of the tenant's."""
    owner = Annotated[Grant, Depends(access.manager)]
    tag_of_operator = Annotated[str, Depends(access.operator)]
    verifying = threading.Lock()

    @app.post("/v1/sessions/{session_id}/erasure", status_code=202)
    def erase(session_id: SessionId, grant: owner) -> Json:
        """Erase a session. Its keys are destroyed when this answers; GET tells when the rest is done."""
        asked = eraser.ask(session_id, "operator" if grant.session_id == OPERATOR else "owner")
        return dict(asked.audit())

    @app.get("/v1/sessions/{session_id}/erasure")
    def erasure(session_id: SessionId, grant: owner) -> Json:
        """How far the erasure of a session is."""
        del grant
        found = eraser.erasures.of(session_id)
        if found is None:
            raise SessionUnknown("nobody asked for this session to be erased")
        return dict(found.audit())

    @app.post("/v1/sessions/{session_id}/erasure/verify")
    def verified(session_id: SessionId, grant: owner) -> Json:
        """Search every store for the session: what is left, by store. Reads everything."""
        del grant
        if not verifying.acquire(blocking=False):
            raise Hindered("another verification runs, and it reads everything: come back when it has ended")
        try:
            with database.reader() as client:
                return dict(verify(settings, client, eraser.erasures.store, session_id).keys())
        finally:
            verifying.release()

    @app.get("/v1/erasures", dependencies=[Depends(access.platform)])
    def erasures(limit: Annotated[int, Query(ge=1, le=10_000)] = 100) -> list[Json]:
        """The audit: the newest requests, without personal data."""
        return [dict(each.audit()) for each in eraser.erasures.newest(limit=limit)]

    @app.post("/v1/erasures", status_code=202)
    def erase_subject(tag: tag_of_operator, wanted: Subject) -> list[Json]:
        """Erase every session of a subject, of the operator's tenant."""
        return [dict(each.audit()) for each in eraser.ask_subject(wanted.subject, "operator", tag=tag)]
