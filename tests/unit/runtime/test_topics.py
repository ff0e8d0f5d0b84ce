"""Which partition a key belongs to."""

from collections import Counter

import pytest

from runtime.topics import murmur2_partition


@pytest.mark.parametrize(
    "key,expected",
    [
        # org.apache.kafka.common.utils.UtilsTest.testMurmur2 (Apache Kafka): signed 32-bit results.
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_gives_javas_numbers(key, expected):
    for partitions in (1, 6, 1_000, 2**31):
        assert murmur2_partition(key, partitions) == (expected & 0x7FFFFFFF) % partitions


def test_murmur2_spreads_session_ids():
    counts = Counter(murmur2_partition(f"{i:032x}".encode(), 6) for i in range(6_000))
    assert len(counts) == 6
    assert min(counts.values()) > 850
