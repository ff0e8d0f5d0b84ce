"""What the analyst page asks of the API. Instants are integer milliseconds since the Unix epoch."""

from typing import Annotated, Any, Final

import orjson
from fastapi import Depends, FastAPI, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from analytics.access import Access
from analytics.answers import Json
from analytics.database import Database
from analytics.explorer import MOST_ROWS, Explorer, Lasting, SortKey, Wanted
from analytics.periods import Drift
from analytics.refusion import Fuse, Refuser, Variant
from analytics.ticks import PAGE_TICKS, SERIES_TICKS, TickColumns, Ticks, stream
from analytics.trends import Trends
from schemas.codec import Codec
from schemas.fusion_config import SmoothingName
from schemas.records import MappingName

ARROW_STREAM: Final = "application/vnd.apache.arrow.stream"
LATEST_MS: Final = 4_102_444_800_000
"""2100-01-01."""

Instant = Annotated[int, Query(ge=0, le=LATEST_MS)]


class VariantBody(BaseModel):
    """Body of POST /v1/sessions/{id}/variant: what differs from the session's own configuration."""

    model_config = ConfigDict(extra="forbid")

    mapping: MappingName | None = None
    smoothing: SmoothingName | None = None
    parameters: dict[str, Annotated[float, Field(allow_inf_nan=False)]] = Field(default={}, max_length=200)


def add_analyst_page(app: FastAPI, database: Database, codec: Codec, fuse: Fuse | None, access: Access) -> None:
    """Add what the page asks, for analysts; a session's ticks also for whoever may read that session."""
    explorer, ticks, trends, drift = Explorer(database), Ticks(database), Trends(database), Drift(database)
    refuser = Refuser(database, codec, fuse)
    tag_of_analyst = Annotated[str, Depends(access.analyst)]
    analysed = Annotated[str, Depends(access.analysed)]
    owned = Annotated[str, Depends(access.reader)]

    @app.get("/v1/explorer")
    def explore(  # noqa: PLR0917 - the query parameters
        tag: tag_of_analyst,
        from_ms: Instant = 0,
        to_ms: Instant = LATEST_MS,
        search: Annotated[str, Query(max_length=200)] = "",
        mapping: Annotated[str, Query(max_length=64)] = "",
        experiment: Annotated[str, Query(max_length=128)] = "",
        lasting: Lasting | None = None,
        sort: SortKey = "started",
        *,
        descending: bool = True,
        offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
        limit: Annotated[int, Query(ge=1, le=MOST_ROWS)] = 50,
    ) -> Json:
        """One page of the sessions that started in [from_ms, to_ms) and match, with what came of each."""
        return explorer.find(
            Wanted(from_ms, to_ms, search, mapping, experiment, lasting, sort, descending, offset, limit, tag)
        )

    @app.get("/v1/sessions/{session_id}/ticks")
    def session_ticks(
        session_id: owned,
        columns: TickColumns = "pose",
        first: Annotated[int | None, Query(ge=0, le=2**31 - 1)] = None,
        count: Annotated[int, Query(ge=1, le=PAGE_TICKS)] = PAGE_TICKS,
    ) -> Response:
        """Avatar frames tick by tick, as an Arrow stream of integers as they stand in the log.

        ``pose``: everything of ``count`` ticks from ``first`` on. ``series``: emotions, affect, weights and latency of
        the whole session, every tick or of a long session every nth. The schema's metadata say which ticks there are.
        """
        oldest, newest, frames = ticks.span(session_id)
        stride = 1
        if columns == "series":
            begin, end = oldest, newest
            stride = -(-(newest - oldest + 1) // SERIES_TICKS)
        else:
            begin = oldest if first is None else first
            end = begin + count - 1
        table = ticks.read(session_id, columns, first=begin, last=end, stride=stride)
        told = {"first": str(oldest), "last": str(newest), "frames": str(frames), "stride": str(stride)}
        return Response(stream(table, told), media_type=ARROW_STREAM)

    @app.post("/v1/sessions/{session_id}/variant")
    def session_variant(session_id: analysed, body: VariantBody) -> Response:
        """All ticks of the session, fused again from its recorded signals under another configuration.

        The columns are those of ``pose``; the schema's metadata say the whole configuration. 409 ``not_fusible`` says
        why it cannot be: the signals are gone, the session is too long, or a parameter is not what it may be.
        """
        fused = refuser.fuse(session_id, Variant(body.mapping, body.smoothing, tuple(body.parameters.items())))
        config: dict[str, Any] = {
            "version": fused.config.version,
            "mapping": fused.config.mapping,
            "smoothing": fused.config.smoothing,
            "parameters": dict(fused.config.parameters),
        }
        sequences = fused.ticks["sequence"]
        told = {
            "first": str(sequences[0]),
            "last": str(sequences[-1]),
            "frames": str(len(sequences)),
            "stride": "1",
            "signals": str(fused.signals),
            "config": orjson.dumps(config).decode(),
        }
        return Response(stream(fused.ticks, told), media_type=ARROW_STREAM)

    @app.get("/v1/trends")
    def over(tag: tag_of_analyst, from_ms: Instant, to_ms: Instant) -> Json:
        """Feelings, latency by hop, drops by reason, opt-outs and durations in [from_ms, to_ms)."""
        return trends.over(from_ms, max(to_ms, from_ms + 1), tag=tag)

    @app.get("/v1/drift")
    def between(
        tag: tag_of_analyst, from_ms: Instant, to_ms: Instant, reference_from_ms: Instant, reference_to_ms: Instant
    ) -> Json:
        """How far emotions, confidence and latency of a period lie from those of a reference period."""
        return drift.between((from_ms, to_ms), (reference_from_ms, reference_to_ms), tag=tag)
