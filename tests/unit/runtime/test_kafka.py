"""The parts of runtime.kafka that need no broker."""

import pytest

from runtime.kafka import KafkaError, KafkaException, TopicPartition, committed_offsets, is_fatal


@pytest.mark.parametrize(
    "error,fatal",
    [
        (KafkaError(KafkaError._FATAL, "what a poll returns once the client is fenced"), True),
        (KafkaError(KafkaError.FENCED_INSTANCE_ID, "told by a call", True), True),
        (KafkaError(KafkaError._ALL_BROKERS_DOWN, "comes back"), False),
    ],
)
def test_a_client_that_can_do_no_more_is_told_from_one_that_waits(error, fatal):
    assert is_fatal(error) is fatal


class MovingCoordinator:
    """A consumer whose group's coordinator answers after so many refusals with ``code``."""

    def __init__(self, code, refusals):
        self.code = code
        self.refusals = refusals

    def committed(self, places, timeout):
        assert timeout > 0
        if self.refusals:
            self.refusals -= 1
            raise KafkaException(KafkaError(self.code))
        return [TopicPartition(place.topic, place.partition, 7) for place in places]


def test_a_coordinator_that_moves_is_asked_again():
    source = MovingCoordinator(KafkaError.NOT_COORDINATOR, 2)
    assert [place.offset for place in committed_offsets(source, [TopicPartition("signals", 0)])] == [7]


@pytest.mark.parametrize(
    "code, timeout_s", [(KafkaError.NOT_COORDINATOR, 0.2), (KafkaError.GROUP_AUTHORIZATION_FAILED, 9.0)]
)
def test_what_does_not_pass_is_raised(code, timeout_s):
    with pytest.raises(KafkaException):
        committed_offsets(MovingCoordinator(code, 10**6), [TopicPartition("signals", 0)], timeout_s=timeout_s)
