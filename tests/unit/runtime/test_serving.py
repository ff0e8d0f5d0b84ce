import asyncio
import logging

from runtime.errors import BrokerError
from runtime.lifecycle import Role
from runtime.serving import until_broker_answers, until_stopped
from runtime.settings import Settings


async def test_a_broker_that_does_not_answer_is_asked_again_and_told_once(caplog):
    answers = iter([BrokerError("nobody there"), BrokerError("nobody there"), None])

    def ask():
        answer = next(answers)
        if answer is not None:
            raise answer

    with caplog.at_level(logging.WARNING):
        await asyncio.wait_for(until_broker_answers(ask), 10)
    assert [record.getMessage() for record in caplog.records] == ["waiting for Kafka: nobody there"]
    assert next(answers, "asked no more") == "asked no more"


async def test_a_role_goes_on_until_it_is_asked_to_stop(tmp_path):
    role = Role("egress", Settings(data_dir=tmp_path))
    stopping = asyncio.create_task(until_stopped(role))
    await asyncio.sleep(0)
    assert not stopping.done()
    role.stop.set()
    await asyncio.wait_for(stopping, 10)
