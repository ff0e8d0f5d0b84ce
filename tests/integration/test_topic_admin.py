"""What is done to topics, on a real broker: retention follows the policy; what is cut off leaves the disk."""

from cli.broker import EmbeddedKafka
from runtime.kafka import Publisher
from runtime.settings import Settings
from runtime.topic_admin import begin_segments, enforce, enforced_ms, truncate, usual_segments
from runtime.topics import offset_ranges
from schemas.topics import SIGNALS
from tests.support.waiting import eventually

WORD = b"a word that was said once"


def test_retention_follows_the_policy(settings: Settings) -> None:
    assert enforced_ms(settings)["signals"] == 7 * 86_400_000
    assert enforce(settings) == []
    changed = settings.model_copy(update={"retention_hours": "signals=48"})
    assert enforce(changed) == ["signals"]
    assert enforced_ms(settings)["signals"] == 48 * 3_600_000
    assert enforce(changed) == []


def test_what_is_cut_off_leaves_the_disk(settings: Settings, kafka: EmbeddedKafka) -> None:
    publisher = Publisher(settings)
    for _ in range(100):
        publisher.send(SIGNALS, "ann", WORD, partition=0)
    publisher.flush()
    place = (SIGNALS, 0)
    marked = begin_segments(settings, [place])
    assert marked == {place: 100}
    truncate(settings, marked)
    assert offset_ranges(settings, SIGNALS)[0] == (100, 101)
    folder = kafka._data_dir / "log" / f"{settings.topic(SIGNALS)}-0"
    assert folder.is_dir()
    eventually(lambda: not any(WORD in path.read_bytes() for path in folder.glob("*.log")), deadline_s=60, every_s=0.5)
    usual_segments(settings)
