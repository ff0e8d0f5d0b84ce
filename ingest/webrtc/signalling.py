"""WHIP (RFC 9725): offers, trickled candidates, ICE restarts and ends over HTTP."""

from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from fastapi import FastAPI, Request, Response

from ingest.edge import Edge
from ingest.sessions import SessionOver
from ingest.webrtc import ice
from ingest.webrtc.offer import OfferError, parse_fragment, parse_offer
from ingest.webrtc.peers import NoSuchPeer, Peers
from runtime.problems import Problem
from runtime.tokens import Grant

SDP: Final = "application/sdp"
FRAGMENT: Final = "application/trickle-ice-sdpfrag"
ENDPOINT: Final = "/v1/sessions/{session_id}/whip"
PEER: Final = ENDPOINT + "/{connection_id}"
ANY: Final = "*"
"""As If-Match: restart ICE (RFC 9725, section 4.3.3). Some write it as the RFC prints it, in quotes."""

Managing = Callable[[Request, str], Grant]
"""The grant of a request that manages a session; raises Problem."""


def add_whip(app: FastAPI, edge: Edge, peers: Peers, managing: Managing) -> None:
    """Add the endpoint of every session, and the resource of every peer."""

    @app.post(ENDPOINT)
    async def offer(session_id: str, request: Request) -> Response:
        """Answer an SDP offer: from then on that peer sends the session's media."""
        _check_rate(edge, peers, request)
        grant = managing(request, session_id)
        sdp = await _body(request, SDP)
        if not edge.ready or edge.broker_away():
            edge.rejected("broker_unavailable")
            raise _unavailable("the edge does not reach Kafka: try again later")
        try:
            session = await edge.sharing.arrive(grant)
            connection_id, answer = await peers.open(session, parse_offer(sdp))
        except SessionOver as error:
            edge.rejected("session_ended")
            raise Problem(410, "session_ended", "The session is over", str(error)) from error
        except OfferError as error:
            raise _refused(edge, error) from error
        response = Response(answer, 201, media_type=SDP)
        prefix = urlsplit(edge.settings.public_ingest_url).path.rstrip("/")
        response.headers["Location"] = f"{prefix}{request.url.path}/{connection_id}"
        response.headers["ETag"] = f'"{connection_id}"'
        response.headers["Cache-Control"] = "no-store"
        for server in ice.servers(edge.settings, session_id, edge.clock.now_us() // 1_000_000):
            response.headers.append("Link", server.as_link())
        return response

    @app.options(ENDPOINT)
    async def options(session_id: str) -> Response:
        """What the endpoint takes."""
        del session_id
        return Response(status_code=204, headers={"Accept-Post": SDP, "Allow": "POST, OPTIONS"})

    @app.patch(PEER)
    async def trickle(session_id: str, connection_id: str, request: Request) -> Response:
        """Take candidates that were gathered after the offer; or restart ICE, and say with what."""
        managing(request, session_id)
        body = await _body(request, FRAGMENT)
        wanted = request.headers.get("if-match")
        try:
            current = peers.etag(session_id, connection_id)
            if wanted is not None and wanted.strip().strip('"') == ANY:
                _check_rate(edge, peers, request)
                answer, etag = await peers.restart(session_id, connection_id, parse_fragment(body))
                headers = {"ETag": etag, "Cache-Control": "no-store"}
                return Response(answer, 200, media_type=FRAGMENT, headers=headers)
            _check_match(wanted, current)
            await peers.trickle(session_id, connection_id, parse_fragment(body))
        except NoSuchPeer as error:
            raise _gone(edge, str(error)) from error
        except OfferError as error:
            raise _refused(edge, error) from error
        return Response(status_code=204)

    @app.options(PEER)
    async def peer_options(session_id: str, connection_id: str) -> Response:
        """What a peer's resource takes."""
        del session_id, connection_id
        return Response(status_code=204, headers={"Accept-Patch": FRAGMENT, "Allow": "PATCH, DELETE, OPTIONS"})

    @app.delete(PEER)
    async def end(session_id: str, connection_id: str, request: Request) -> Response:
        """End the session. Again, or of a peer that could not be connected, it does so too.

        So it does of a peer that has gone just now: some clients close their connection before they send this.
        """
        managing(request, session_id)
        if edge.sessions.end_reason(session_id) is None:
            try:
                peers.check(session_id, connection_id)
            except NoSuchPeer as error:
                if not str(error) and not peers.left(session_id, connection_id):
                    raise _gone(edge, "") from error
            edge.end_session(session_id, "deleted")
        return Response(status_code=200)

    @app.api_route(ENDPOINT, methods=["GET", "HEAD", "PUT"], include_in_schema=False)
    @app.api_route(PEER, methods=["GET", "HEAD", "PUT", "POST"], include_in_schema=False)
    async def reserved(request: Request) -> Response:
        """Methods that WHIP reserves (RFC 9725, sections 4.2 and 4.3)."""
        peer = "connection_id" in request.path_params
        allowed = "PATCH, DELETE, OPTIONS" if peer else "POST, OPTIONS"
        detail = f"{request.method} is not for WHIP: {allowed} are"
        raise Problem(405, "method_not_allowed", "No such method here", detail, {"Allow": allowed})


def _check_rate(edge: Edge, peers: Peers, request: Request) -> None:
    if not peers.may_offer(request.client.host if request.client else ""):
        edge.rejected("too_many_offers")
        detail = f"at most {edge.settings.offers_per_minute} offers a minute from one address: wait"
        raise Problem(429, "too_many_offers", "Too many offers", detail, {"Retry-After": "5"})


def _check_match(wanted: str | None, current: str) -> None:
    """Raise OfferError unless If-Match is the tag of this peer's ICE session (RFC 9725, section 4.3.1)."""
    if wanted is None:
        raise OfferError(428, "no_if_match", "send If-Match with the ETag of the answer")
    if current not in {tag.strip() for tag in wanted.split(",")}:
        raise OfferError(412, "wrong_etag", "If-Match is not the ETag of the last answer")


async def _body(request: Request, media_type: str) -> str:
    """The body as text; raises Problem if it is of another type."""
    given = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if given != media_type:
        raise Problem(415, "wrong_type", "The body is of another type", f"send Content-Type: {media_type}")
    try:
        return (await request.body()).decode()
    except UnicodeDecodeError as error:
        raise Problem(400, "malformed_sdp", "The body cannot be read", "SDP is text in UTF-8") from error


def _unavailable(detail: str) -> Problem:
    return Problem(503, "unavailable", "No peer can be served now", detail, {"Retry-After": "2"})


def _refused(edge: Edge, error: OfferError) -> Problem:
    edge.rejected(error.code)
    headers = {"Retry-After": "2"} if error.status in {429, 503} else None
    return Problem(error.status, error.code, "The peer cannot be served", str(error), headers)


def _gone(edge: Edge, failure: str) -> Problem:
    edge.rejected("no_such_peer")
    if failure:
        return Problem(404, "not_connected", "The peer could not be connected", failure)
    return Problem(404, "no_such_peer", "No such peer", "it has ended, or was served by another process: offer anew")
