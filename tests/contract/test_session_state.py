"""One suite for what edges share of sessions: in memory, in a real Redis, and in one with TLS 1.3 and users."""

import asyncio
import secrets

import pytest

from runtime.errors import SettingsError
from runtime.session_state import Limit, LocalState, Progress, SharedState, session_state
from tests.support.redis_server import redis_server

S = 1_000_000


@pytest.fixture(scope="module", params=["local", "redis", "redis with TLS and users"])
def url(request, tmp_path_factory):
    if request.param == "local":
        yield ""
        return
    with redis_server(tmp_path_factory.mktemp("redis"), tls="TLS" in request.param) as server:
        yield server.url


@pytest.fixture
def run(url):
    """Runs a test's coroutine with states of two edges; in memory, both are the same one."""

    def run(story):
        async def told():
            prefix = f"t{secrets.token_hex(4)}."
            # Machines that run tests are not idle.
            one = SharedState(url, prefix, answer_s=20.0) if url else session_state("")
            two = SharedState(url, prefix, answer_s=20.0) if url else one
            try:
                await story(one, two)
            finally:
                for state in (one, two):
                    assert not getattr(state, "away", False), "Redis has not answered"
                    await state.close()

        asyncio.run(told())

    return run


def test_the_newest_owner_counts(run):
    async def story(one, two):
        assert await one.own("s", "a") is None
        assert await one.own("s", "a") == "a"
        assert await two.own("s", "b") == "a"
        assert await one.owners(["s", "unknown"]) == {"s": "b"}
        assert await one.owners([]) == {}

    run(story)


def test_progress_is_kept_by_the_owner_alone(run):
    async def story(one, two):
        assert await two.progress("s") is None
        await one.own("s", "a")
        await one.keep({"s": Progress({"speech": 7, "face": 3})}, "a")
        assert await two.progress("s") == Progress({"speech": 7, "face": 3})
        await two.own("s", "b")
        await one.keep({"s": Progress({"speech": 9})}, "a")
        assert await two.progress("s") == Progress({"speech": 7, "face": 3})
        assert await one.owners(["s"]) == {"s": "b"}
        await two.keep({"s": Progress({"speech": 8})}, "b")
        assert (await two.progress("s")).received["speech"] == 8

    run(story)


def test_a_session_that_nobody_owns_is_owned_by_who_keeps_it(run):
    async def story(one, two):
        await one.keep({"s": Progress({})}, "a")
        assert await two.owners(["s"]) == {"s": "a"}
        await one.keep({}, "a")

    run(story)


def test_an_end_is_an_end_everywhere_and_for_the_first_reason(run):
    async def story(one, two):
        assert await two.ended("s") is None
        await one.own("s", "a")
        await one.end("s", "client_closed")
        await two.end("s", "idle")
        assert await two.ended("s") == await one.ended("s") == "client_closed"
        assert await two.owners(["s"]) == {}
        assert await two.progress("s") is None
        # The edge that serves it, and has not heard of that yet, does not bring it back.
        await one.keep({"s": Progress({"speech": 1})}, "a")
        assert await two.owners(["s"]) == {}

    run(story)


def test_limits_count_all_together(run):
    async def story(one, two):
        limit = Limit(2.0, 4.0)
        taken = [await state.take("x", limit, 10 * S) for state in (one, two, one, two, one, two)]
        assert taken == [True] * 4 + [False] * 2
        assert await two.take("y", limit, 10 * S)
        assert [await one.take("x", limit, 10 * S + 500_000) for _ in range(2)] == [True, False]
        # A clock that runs backwards adds nothing, and a long pause no more than a burst.
        assert not await two.take("x", limit, 9 * S)
        assert [await two.take("x", limit, 100 * S) for _ in range(5)] == [True] * 4 + [False]

    run(story)


def test_many_at_once(run):
    async def story(one, two):
        await asyncio.gather(*(one.own(f"s{number}", "a") for number in range(200)))
        assert len(await two.owners([f"s{number}" for number in range(200)])) == 200
        taken = await asyncio.gather(*(state.take("z", Limit(1.0, 50.0), S) for state in (one, two) * 50))
        assert sum(taken) == 50

    run(story)


def test_an_owner_that_says_nothing_is_forgotten():
    now_s = [0.0]
    state = LocalState(lambda: now_s[0])

    async def story():
        await state.own("s", "a")
        now_s[0] = 59.0
        assert await state.owners(["s"]) == {"s": "a"}
        now_s[0] = 61.0
        assert await state.owners(["s"]) == {}
        assert await state.own("s", "b") is None

    asyncio.run(story())


def test_an_address_that_is_none_is_refused():
    with pytest.raises(SettingsError):
        session_state("http://127.0.0.1:1/")


@pytest.mark.parametrize("wrong", ["no TLS", "no user", "wrong password", "unknown authority"])
def test_the_server_with_tls_and_users_turns_others_away(tmp_path, wrong):
    with redis_server(tmp_path, tls=True) as server:

        async def story():
            state = SharedState(server.refused_urls[wrong])
            await state.own("s", "a")
            assert state.away
            await state.close()

        asyncio.run(story())


@pytest.mark.parametrize("how", ["killed", "frozen"])
def test_without_redis_an_edge_goes_on_by_itself_and_comes_back(tmp_path, how):
    with redis_server(tmp_path) as server:

        async def story():
            state = SharedState(server.url)
            loop = asyncio.get_running_loop()
            await state.own("s", "a")
            (server.kill if how == "killed" else server.freeze)()
            began_s = loop.time()
            assert await state.own("s", "b") == "a"
            assert await state.owners(["s"]) == {"s": "b"}
            await state.end("t", "idle")
            assert await state.ended("t") == "idle"
            assert [await state.take("x", Limit(1.0, 2.0), S) for _ in range(3)] == [True, True, False]
            assert state.away
            assert loop.time() - began_s < 3.0, "nobody waits for a Redis that is gone"
            (server.start if how == "killed" else server.thaw)()
            async with asyncio.timeout(20):
                while state.away:
                    await state.own("s", "b")
                    await asyncio.sleep(0.05)
            assert await state.owners(["s"]) == {"s": "b"}
            await state.close()

        asyncio.run(story())
