"""ICE restarts over WHIP against a real broker: a client changes networks, and its media goes on."""

import asyncio
from typing import Any

import httpx

from runtime.settings import Settings
from schemas.records import AudioChunk, VideoFrame
from schemas.topics import MEDIA_AUDIO, MEDIA_VIDEO
from tests.integration.test_whip import peers, start
from tests.support.edges import ingest, log_of
from tests.support.ice import fragment
from tests.support.waiting import eventually_async
from tests.support.whip import FRAGMENT, Camera, Microphone, WhipClient

PASSWORD = "restartrestartrestart0"


async def grows(log: Any, count: int, what: str) -> None:
    """Return once the log holds so many records more than now."""
    wanted = len(log.read()) + count
    await eventually_async(lambda: len(log.read()) >= wanted, deadline_s=20, what=what)


async def acknowledged(client: WhipClient) -> None:
    """Return once the edge has told something over the control channel since now."""
    seen = len(client.control)
    await eventually_async(
        lambda: any(message["type"] == "ack" for message in client.control[seen:]), deadline_s=20, what="an ack"
    )


async def test_media_goes_on_over_another_network(settings: Settings) -> None:
    with (
        ingest(settings) as running,
        log_of(settings, MEDIA_AUDIO, AudioChunk) as sound,
        log_of(settings, MEDIA_VIDEO, VideoFrame) as pictures,
    ):
        opened = start(running, audio=True, video=True)
        async with WhipClient(opened, Camera(), Microphone()) as client:
            client.open_control()
            await client.publish()
            await client.told("welcome")
            await grows(pictures, 5, "pictures")
            first = client.etag
            for _ in range(2):  # and once more: the second restart is of what the first one made
                client.leave_network()
                await asyncio.sleep(0.5)  # how long the network is away, not a wait for something
                response = await client.restart_ice()
                assert response.status_code == 200, response.text
                assert response.headers["Content-Type"] == "application/trickle-ice-sdpfrag"
                assert "a=candidate:" in response.text
                await grows(sound, 30, "sound after the restart")
                await grows(pictures, 10, "pictures after the restart")
                await acknowledged(client)
            assert peers(running) == 1
            assert client.rtc.connectionState == "connected"
            assert sum(message["type"] == "welcome" for message in client.control) == 1
            assert first != client.etag
            body = fragment("nobody", PASSWORD)
            old = await client.request("PATCH", content=body, headers=FRAGMENT | {"If-Match": first})
            assert (old.status_code, old.json()["code"]) == (412, "wrong_etag")
            none_more = await client.request(
                "PATCH", content="a=end-of-candidates\r\n", headers=FRAGMENT | {"If-Match": client.etag}
            )
            assert none_more.status_code == 204
            for log in (sound, pictures):
                sequences = [record.sequence for record in log.records]
                assert sequences == sorted(set(sequences))
            assert (await client.request("DELETE")).status_code == 200


async def test_a_restart_that_comes_to_nothing_changes_nothing(settings: Settings) -> None:
    with ingest(settings) as running, log_of(settings, MEDIA_AUDIO, AudioChunk) as sound:
        opened = start(running, audio=True)
        async with WhipClient(opened, Microphone()) as client:
            client.open_control()
            await client.publish()
            await client.told("welcome")

            async def restart(body: str) -> tuple[int, str]:
                answer = await client.request("PATCH", content=body, headers=FRAGMENT | {"If-Match": "*"})
                return answer.status_code, "" if answer.status_code == 200 else answer.json()["code"]

            for body in ("a=end-of-candidates\r\n", "a=ice-ufrag:only\r\n", fragment("user", "short")):
                assert await restart(body) == (400, "malformed_sdp")
            assert await restart("no sdp") == (400, "malformed_sdp")
            flood = [f"a=candidate:{n} 1 udp {n} 127.0.0.1 {n} typ host" for n in range(1, 50)]
            assert await restart(fragment("user", PASSWORD, *flood)) == (429, "too_many_candidates")
            # One that nobody follows up, twice: media goes on as before, and a real one comes through.
            assert await restart(fragment("first", PASSWORD)) == (200, "")
            assert await restart(fragment("second", PASSWORD)) == (200, "")
            await grows(sound, 50, "sound during the restart")
            await acknowledged(client)
            client.leave_network()
            assert (await client.restart_ice()).status_code == 200
            await grows(sound, 30, "sound after the restart")
            await acknowledged(client)


async def test_nothing_is_restarted_before_it_is_connected(settings: Settings) -> None:
    with ingest(settings) as running:
        opened = start(running, audio=True)
        async with WhipClient(opened, Microphone()) as client:
            response = await client.post(await client.offer())  # and the answer is not taken
            client.location = str(httpx.URL(client.url).join(response.headers["Location"]))
            headers = FRAGMENT | {"If-Match": "*"}
            early = await client.request("PATCH", content=fragment("early", PASSWORD), headers=headers)
            assert (early.status_code, early.json()["code"]) == (422, "ice_restart")
            assert peers(running) == 1


async def test_restarts_count_as_offers(settings: Settings) -> None:
    with ingest(settings.model_copy(update={"offers_per_minute": 3})) as running:
        opened = start(running, audio=True)
        async with WhipClient(opened, Microphone()) as client:
            await client.publish()
            await client.connected()
            headers = FRAGMENT | {"If-Match": "*"}
            body = fragment("again", PASSWORD)
            statuses = [(await client.request("PATCH", content=body, headers=headers)).status_code for _ in range(4)]
            assert statuses == [200, 200, 429, 429]
