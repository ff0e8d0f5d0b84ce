-- The topics `client.events`, `ledger` and `dead.letters`.
CREATE TABLE client_events
(
    `session_id` LowCardinality(String) COMMENT 'The session.' CODEC(ZSTD(1)),
    `sequence` Int64 COMMENT 'Counts the events of this connection.' CODEC(Delta, ZSTD(1)),
    `captured_at` DateTime64(6, 'UTC') COMMENT 'When it happened, on the clock of who wrote it.' CODEC(Delta, ZSTD(1)),
    `received_at` DateTime64(6, 'UTC') COMMENT 'When the edge had received it.' CODEC(Delta, ZSTD(1)),
    `kind` LowCardinality(String) COMMENT 'ack, rating, consent_changed, opt_out, viewer_joined, viewer_left or exposure.' CODEC(ZSTD(1)),
    `client_id` String COMMENT 'The connection.' CODEC(ZSTD(1)),
    `frame_sequence` Nullable(Int64) COMMENT 'ack, rating: the frame meant.' CODEC(ZSTD(1)),
    `frame_captured_at` Nullable(DateTime64(6, 'UTC')) COMMENT 'ack: that frame\'s captured_at.' CODEC(ZSTD(1)),
    `relayed_at` Nullable(DateTime64(6, 'UTC')) COMMENT 'ack: when egress sent the frame.' CODEC(ZSTD(1)),
    `rendered_at` Nullable(DateTime64(6, 'UTC')) COMMENT 'ack: when the client showed it, mapped to the server\'s clock.' CODEC(ZSTD(1)),
    `value` Nullable(Float64) COMMENT 'rating: 1..5. viewer_left: frames skipped.' CODEC(ZSTD(1)),
    `detail` String COMMENT 'consent_changed: the scopes now given; otherwise free text without personal data.' CODEC(ZSTD(1)),
    `topic` LowCardinality(String) COMMENT 'Kafka topic that the row was read from.' CODEC(ZSTD(1)),
    `topic_id` LowCardinality(String) COMMENT 'Kafka\'s id of that topic: a topic made anew under the same name counts from offset 0 again.' CODEC(ZSTD(1)),
    `partition` Int32 COMMENT 'Partition of the topic.' CODEC(ZSTD(1)),
    `offset` Int64 COMMENT 'Offset in the partition; (topic, topic_id, partition, offset) names a row for good.' CODEC(Delta, ZSTD(1)),
    `published_at` DateTime64(3, 'UTC') COMMENT 'The record\'s Kafka timestamp: when it was published.' CODEC(Delta, ZSTD(1)),
    INDEX offsets offset TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree
ORDER BY (session_id, kind, captured_at, topic_id, partition, offset)
TTL toDateTime(published_at) + INTERVAL 180 DAY
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'What clients report (latency acknowledgements, ratings) and decide (consent, opting out).';

CREATE TABLE ledger
(
    `session_id` LowCardinality(String) COMMENT 'The session.' CODEC(ZSTD(1)),
    `recorded_at` DateTime64(6, 'UTC') COMMENT 'When the stage wrote it; fusion: event time.' CODEC(Delta, ZSTD(1)),
    `stage` LowCardinality(String) COMMENT 'schemas.vocabulary.Stage' CODEC(ZSTD(1)),
    `modality` LowCardinality(String) COMMENT 'face, speech or empty.' CODEC(ZSTD(1)),
    `outcome` LowCardinality(String) COMMENT 'schemas.vocabulary.Outcome: used, or the reason for dropping.' CODEC(ZSTD(1)),
    `count` Int64 COMMENT 'Items in the run.' CODEC(ZSTD(1)),
    `first_sequence` Int64 COMMENT 'Sequence of the run\'s first item, -1 if it had none. Fusion: the tick at which the count was taken.' CODEC(ZSTD(1)),
    `last_sequence` Int64 COMMENT 'Sequence of the run\'s last item, -1 if it had none.' CODEC(ZSTD(1)),
    `detail` String COMMENT 'For people; never personal data.' CODEC(ZSTD(1)),
    `topic` LowCardinality(String) COMMENT 'Kafka topic that the row was read from.' CODEC(ZSTD(1)),
    `topic_id` LowCardinality(String) COMMENT 'Kafka\'s id of that topic: a topic made anew under the same name counts from offset 0 again.' CODEC(ZSTD(1)),
    `partition` Int32 COMMENT 'Partition of the topic.' CODEC(ZSTD(1)),
    `offset` Int64 COMMENT 'Offset in the partition; (topic, topic_id, partition, offset) names a row for good.' CODEC(Delta, ZSTD(1)),
    `published_at` DateTime64(3, 'UTC') COMMENT 'The record\'s Kafka timestamp: when it was published.' CODEC(Delta, ZSTD(1)),
    INDEX offsets offset TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree
ORDER BY (session_id, stage, modality, outcome, topic_id, partition, offset)
TTL toDateTime(published_at) + INTERVAL 180 DAY
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'What became of every item at every stage, in runs.';

CREATE TABLE dead_letters
(
    `recorded_at` DateTime64(6, 'UTC') COMMENT 'When it was set aside.' CODEC(Delta, ZSTD(1)),
    `stage` LowCardinality(String) COMMENT 'Who could not read it: schemas.vocabulary.Stage.' CODEC(ZSTD(1)),
    `source_topic` LowCardinality(String) COMMENT 'Where it came from.' CODEC(ZSTD(1)),
    `source_partition` Int32 COMMENT 'Where it came from.' CODEC(ZSTD(1)),
    `source_offset` Int64 COMMENT 'Where it came from.' CODEC(ZSTD(1)),
    `error` String COMMENT 'What is wrong, without the content.' CODEC(ZSTD(1)),
    `key_bytes` UInt32 COMMENT 'Size of the original key; the key itself stays in Kafka.' CODEC(ZSTD(1)),
    `value_bytes` UInt32 COMMENT 'Size of the original value; the value itself stays in Kafka.' CODEC(ZSTD(1)),
    `topic` LowCardinality(String) COMMENT 'Kafka topic that the row was read from.' CODEC(ZSTD(1)),
    `topic_id` LowCardinality(String) COMMENT 'Kafka\'s id of that topic: a topic made anew under the same name counts from offset 0 again.' CODEC(ZSTD(1)),
    `partition` Int32 COMMENT 'Partition of the topic.' CODEC(ZSTD(1)),
    `offset` Int64 COMMENT 'Offset in the partition; (topic, topic_id, partition, offset) names a row for good.' CODEC(Delta, ZSTD(1)),
    `published_at` DateTime64(3, 'UTC') COMMENT 'The record\'s Kafka timestamp: when it was published.' CODEC(Delta, ZSTD(1)),
    INDEX offsets offset TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree
ORDER BY (source_topic, source_partition, source_offset, stage, topic_id, partition, offset)
TTL toDateTime(published_at) + INTERVAL 90 DAY
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'Records that could not be read: where and why, never their content. One that was set aside twice has two rows.';
