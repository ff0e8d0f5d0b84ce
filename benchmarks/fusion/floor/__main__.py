"""The floor: the log consumed, as many frames produced as fusion makes, nothing in between.

``python -m benchmarks.fusion.floor BOOTSTRAP SIGNALS FRAMES PARTITIONS FRAME_HEX RECORDS_IN RECORDS_OUT``:
confluent-kafka in its fastest form in Python, a thousand records at a time both ways. RECORDS_OUT are spread evenly
over RECORDS_IN; each has the key of a signal, the partition of that signal and the bytes of a real frame.
"""

import sys
from typing import Any, Final

from confluent_kafka import Consumer, Producer, TopicPartition

AT_ONCE: Final = 1_000


def main(arguments: list[str]) -> None:
    bootstrap, signals, frames = arguments[:3]
    partitions, frame = int(arguments[3]), bytes.fromhex(arguments[4])
    records_in, records_out = int(arguments[5]), int(arguments[6])
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "broker.address.family": "v4",
            "group.id": "floor",
            "enable.auto.commit": False,
            "fetch.wait.max.ms": 100,
            "queued.max.messages.kbytes": 65_536,
        }
    )
    consumer.assign([TopicPartition(signals, number, 0) for number in range(partitions)])
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "broker.address.family": "v4",
            "enable.idempotence": True,
            "linger.ms": 5,
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    print("READY", flush=True)
    due = 0
    while True:
        messages = consumer.consume(AT_ONCE, 0.1)
        out: list[dict[str, Any]] = []
        for message in messages:
            if message.error() is not None:
                continue
            message.value()  # the bytes reach Python
            due += records_out
            if due >= records_in:
                due -= records_in
                out.append({"key": message.key(), "value": frame, "partition": message.partition()})
        if out:
            left = len(out)
            left -= producer.produce_batch(frames, out)
            if left:
                raise BufferError(f"{left} frames found the queue full")
            producer.poll(0)


if __name__ == "__main__":
    main(sys.argv[1:])
