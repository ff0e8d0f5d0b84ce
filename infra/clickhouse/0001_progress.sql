-- How far the sink has come. A row is written after every insert of a batch is acknowledged; a restarted sink goes on
-- from the newest row and leaves out, table by table, what the batch under way had already inserted.
CREATE TABLE sink_progress
(
    `topic` LowCardinality(String) COMMENT 'Kafka topic.',
    `topic_id` LowCardinality(String) COMMENT 'Kafka\'s id of that topic.',
    `partition` Int32 COMMENT 'Partition of the topic.',
    `first_offset` Int64 COMMENT 'Where the sink began to read this partition.',
    `next_offset` Int64 COMMENT 'Every record before this offset is in its table, or was unreadable.',
    `records` Int64 COMMENT 'Records taken so far; next_offset - first_offset, less what Kafka deleted before it was read.',
    `unreadable` Int64 COMMENT 'Of these, how many no row could be made of.',
    `written_at` DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When this row was written, on ClickHouse\'s clock.'
)
ENGINE = ReplacingMergeTree(next_offset)
ORDER BY (topic, topic_id, partition)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'Progress of the sink by topic and partition; the newest row of each counts.';
