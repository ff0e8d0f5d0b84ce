-- Smaller hops, questions of time, and aggregates a session and a minute.
-- Hops are whole tenths of a millisecond: divided by what they have in common first, each takes a byte instead of two.
ALTER TABLE avatar_frames
    MODIFY COLUMN face_age_us CODEC(GCD, T64, ZSTD(1)),
    MODIFY COLUMN face_transport_us CODEC(GCD, T64, ZSTD(1)),
    MODIFY COLUMN face_ingest_us CODEC(GCD, T64, ZSTD(1)),
    MODIFY COLUMN face_queue_us CODEC(GCD, T64, ZSTD(1)),
    MODIFY COLUMN face_inference_us CODEC(GCD, T64, ZSTD(1)),
    MODIFY COLUMN speech_age_us CODEC(GCD, T64, ZSTD(1)),
    MODIFY COLUMN speech_transport_us CODEC(GCD, T64, ZSTD(1)),
    MODIFY COLUMN speech_ingest_us CODEC(GCD, T64, ZSTD(1)),
    MODIFY COLUMN speech_queue_us CODEC(GCD, T64, ZSTD(1)),
    MODIFY COLUMN speech_inference_us CODEC(GCD, T64, ZSTD(1));
ALTER TABLE avatar_frames ADD INDEX captured captured_at TYPE minmax GRANULARITY 1;

CREATE TABLE minute_aggregates
(
    `session_id` LowCardinality(String) COMMENT 'The session.' CODEC(ZSTD(1)),
    `minute` DateTime('UTC') COMMENT 'Beginning of the minute, event time.' CODEC(Delta, ZSTD(1)),
    `frames` UInt32 COMMENT 'Frames of the minute, each counted once.' CODEC(ZSTD(1)),
    `discontinuities` UInt32 COMMENT 'Of these, how many follow skipped ticks.' CODEC(ZSTD(1)),
    `closed_by_max_wait` UInt32 COMMENT 'Of these, how many did not wait longer for the slower modality.' CODEC(ZSTD(1)),
    `face_live` UInt32 COMMENT 'Of these, with a live face.' CODEC(ZSTD(1)),
    `speech_live` UInt32 COMMENT 'Of these, with a live voice.' CODEC(ZSTD(1)),
    `viseme_mouth` UInt32 COMMENT 'Of these, with a mouth that visemes own.' CODEC(ZSTD(1)),
    `speaking` UInt32 COMMENT 'Of these, with a speaking probability above 0.5.' CODEC(ZSTD(1)),
    `emotion_neutral` Float32 COMMENT 'Mean score of neutral, 0..1.' CODEC(ZSTD(1)),
    `emotion_happy` Float32 COMMENT 'Mean score of happy, 0..1.' CODEC(ZSTD(1)),
    `emotion_sad` Float32 COMMENT 'Mean score of sad, 0..1.' CODEC(ZSTD(1)),
    `emotion_angry` Float32 COMMENT 'Mean score of angry, 0..1.' CODEC(ZSTD(1)),
    `emotion_surprise` Float32 COMMENT 'Mean score of surprise, 0..1.' CODEC(ZSTD(1)),
    `emotion_fear` Float32 COMMENT 'Mean score of fear, 0..1.' CODEC(ZSTD(1)),
    `emotion_disgust` Float32 COMMENT 'Mean score of disgust, 0..1.' CODEC(ZSTD(1)),
    `valence` Float32 COMMENT 'Mean valence, -1..1.' CODEC(ZSTD(1)),
    `arousal` Float32 COMMENT 'Mean arousal, -1..1.' CODEC(ZSTD(1)),
    `dominance` Float32 COMMENT 'Mean dominance, -1..1.' CODEC(ZSTD(1)),
    `face_weight` Float32 COMMENT 'Mean weight of face in the fusion, 0..1.' CODEC(ZSTD(1)),
    `speech_weight` Float32 COMMENT 'Mean weight of speech in the fusion, 0..1.' CODEC(ZSTD(1)),
    `face_transport_p50_ms` Nullable(Float32) COMMENT 'Median of the hop from capture to the edge, of the face samples that counted, ms; null: none did.' CODEC(ZSTD(1)),
    `face_transport_p95_ms` Nullable(Float32) COMMENT '95th percentile of the same.' CODEC(ZSTD(1)),
    `face_ingest_p50_ms` Nullable(Float32) COMMENT 'Median of the hop from the edge to Kafka, of the face samples that counted, ms; null: none did.' CODEC(ZSTD(1)),
    `face_ingest_p95_ms` Nullable(Float32) COMMENT '95th percentile of the same.' CODEC(ZSTD(1)),
    `face_queue_p50_ms` Nullable(Float32) COMMENT 'Median of the hop from Kafka to the worker, of the face samples that counted, ms; null: none did.' CODEC(ZSTD(1)),
    `face_queue_p95_ms` Nullable(Float32) COMMENT '95th percentile of the same.' CODEC(ZSTD(1)),
    `face_inference_p50_ms` Nullable(Float32) COMMENT 'Median of the hop in the worker, of the face samples that counted, ms; null: none did.' CODEC(ZSTD(1)),
    `face_inference_p95_ms` Nullable(Float32) COMMENT '95th percentile of the same.' CODEC(ZSTD(1)),
    `face_fusion_p50_ms` Nullable(Float32) COMMENT 'Median of the hop from the worker to the frame, of the face samples that counted, ms; null: none did.' CODEC(ZSTD(1)),
    `face_fusion_p95_ms` Nullable(Float32) COMMENT '95th percentile of the same.' CODEC(ZSTD(1)),
    `face_total_ms` AggregateFunction(quantilesTDigest(0.5, 0.95, 0.99), Nullable(Float64)) COMMENT 'From capture of the face sample that counted to the frame, ms: to be merged over minutes.' CODEC(ZSTD(1)),
    `speech_transport_p50_ms` Nullable(Float32) COMMENT 'Median of the hop from capture to the edge, of the speech samples that counted, ms; null: none did.' CODEC(ZSTD(1)),
    `speech_transport_p95_ms` Nullable(Float32) COMMENT '95th percentile of the same.' CODEC(ZSTD(1)),
    `speech_ingest_p50_ms` Nullable(Float32) COMMENT 'Median of the hop from the edge to Kafka, of the speech samples that counted, ms; null: none did.' CODEC(ZSTD(1)),
    `speech_ingest_p95_ms` Nullable(Float32) COMMENT '95th percentile of the same.' CODEC(ZSTD(1)),
    `speech_queue_p50_ms` Nullable(Float32) COMMENT 'Median of the hop from Kafka to the worker, of the speech samples that counted, ms; null: none did.' CODEC(ZSTD(1)),
    `speech_queue_p95_ms` Nullable(Float32) COMMENT '95th percentile of the same.' CODEC(ZSTD(1)),
    `speech_inference_p50_ms` Nullable(Float32) COMMENT 'Median of the hop in the worker, of the speech samples that counted, ms; null: none did.' CODEC(ZSTD(1)),
    `speech_inference_p95_ms` Nullable(Float32) COMMENT '95th percentile of the same.' CODEC(ZSTD(1)),
    `speech_fusion_p50_ms` Nullable(Float32) COMMENT 'Median of the hop from the worker to the frame, of the speech samples that counted, ms; null: none did.' CODEC(ZSTD(1)),
    `speech_fusion_p95_ms` Nullable(Float32) COMMENT '95th percentile of the same.' CODEC(ZSTD(1)),
    `speech_total_ms` AggregateFunction(quantilesTDigest(0.5, 0.95, 0.99), Nullable(Float64)) COMMENT 'From capture of the speech sample that counted to the frame, ms: to be merged over minutes.' CODEC(ZSTD(1)),
    `computed_at` DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When this row was computed; of several the newest counts.' CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(computed_at)
ORDER BY (session_id, minute)
TTL minute + INTERVAL 365 DAY
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'Frames by session and minute, computed from deduplicated rows and again when more come: read session_minutes.';

CREATE TABLE aggregate_progress
(
    `topic` LowCardinality(String) COMMENT 'Kafka topic.',
    `topic_id` LowCardinality(String) COMMENT 'Kafka\'s id of that topic.',
    `partition` Int32 COMMENT 'Partition of the topic.',
    `next_offset` Int64 COMMENT 'Every row before this offset is in the aggregates.',
    `written_at` DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When this row was written, on ClickHouse\'s clock.'
)
ENGINE = ReplacingMergeTree(next_offset)
ORDER BY (topic, topic_id, partition)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'How far the aggregates have come, by topic and partition; the newest row of each counts.';

CREATE VIEW session_minutes AS
SELECT
    session_id,
    minute,
    frames,
    discontinuities,
    closed_by_max_wait,
    face_live,
    speech_live,
    viseme_mouth,
    speaking,
    emotion_neutral,
    emotion_happy,
    emotion_sad,
    emotion_angry,
    emotion_surprise,
    emotion_fear,
    emotion_disgust,
    valence,
    arousal,
    dominance,
    face_weight,
    speech_weight,
    face_transport_p50_ms,
    face_transport_p95_ms,
    face_ingest_p50_ms,
    face_ingest_p95_ms,
    face_queue_p50_ms,
    face_queue_p95_ms,
    face_inference_p50_ms,
    face_inference_p95_ms,
    face_fusion_p50_ms,
    face_fusion_p95_ms,
    speech_transport_p50_ms,
    speech_transport_p95_ms,
    speech_ingest_p50_ms,
    speech_ingest_p95_ms,
    speech_queue_p50_ms,
    speech_queue_p95_ms,
    speech_inference_p50_ms,
    speech_inference_p95_ms,
    speech_fusion_p50_ms,
    speech_fusion_p95_ms,
    finalizeAggregation(face_total_ms)[1] AS face_total_p50_ms,
    finalizeAggregation(face_total_ms)[2] AS face_total_p95_ms,
    finalizeAggregation(face_total_ms)[3] AS face_total_p99_ms,
    finalizeAggregation(speech_total_ms)[1] AS speech_total_p50_ms,
    finalizeAggregation(speech_total_ms)[2] AS speech_total_p95_ms,
    finalizeAggregation(speech_total_ms)[3] AS speech_total_p99_ms
FROM minute_aggregates FINAL
COMMENT 'One row a session and minute of event time, from frames counted once: counts, means, latencies.';

CREATE VIEW session_totals AS
SELECT
    session_id,
    count() AS minutes,
    min(minute) AS first_minute,
    max(minute) AS last_minute,
    sum(m.frames) AS frames,
    sum(m.discontinuities) AS discontinuities,
    sum(m.closed_by_max_wait) AS closed_by_max_wait,
    sum(m.face_live) AS face_live,
    sum(m.speech_live) AS speech_live,
    sum(m.viseme_mouth) AS viseme_mouth,
    sum(m.speaking) AS speaking,
    sum(m.emotion_neutral * m.frames) / sum(m.frames) AS emotion_neutral,
    sum(m.emotion_happy * m.frames) / sum(m.frames) AS emotion_happy,
    sum(m.emotion_sad * m.frames) / sum(m.frames) AS emotion_sad,
    sum(m.emotion_angry * m.frames) / sum(m.frames) AS emotion_angry,
    sum(m.emotion_surprise * m.frames) / sum(m.frames) AS emotion_surprise,
    sum(m.emotion_fear * m.frames) / sum(m.frames) AS emotion_fear,
    sum(m.emotion_disgust * m.frames) / sum(m.frames) AS emotion_disgust,
    sum(m.valence * m.frames) / sum(m.frames) AS valence,
    sum(m.arousal * m.frames) / sum(m.frames) AS arousal,
    sum(m.dominance * m.frames) / sum(m.frames) AS dominance,
    sum(m.face_weight * m.frames) / sum(m.frames) AS face_weight,
    sum(m.speech_weight * m.frames) / sum(m.frames) AS speech_weight,
    quantilesTDigestMerge(0.5, 0.95, 0.99)(m.face_total_ms)[1] AS face_total_p50_ms,
    quantilesTDigestMerge(0.5, 0.95, 0.99)(m.face_total_ms)[2] AS face_total_p95_ms,
    quantilesTDigestMerge(0.5, 0.95, 0.99)(m.face_total_ms)[3] AS face_total_p99_ms,
    quantilesTDigestMerge(0.5, 0.95, 0.99)(m.speech_total_ms)[1] AS speech_total_p50_ms,
    quantilesTDigestMerge(0.5, 0.95, 0.99)(m.speech_total_ms)[2] AS speech_total_p95_ms,
    quantilesTDigestMerge(0.5, 0.95, 0.99)(m.speech_total_ms)[3] AS speech_total_p99_ms
FROM minute_aggregates AS m FINAL
GROUP BY session_id
COMMENT 'One row a session, from its minutes.';

CREATE VIEW latency_hops AS
SELECT
    session_id,
    sequence,
    captured_at,
    mapping,
    part.1 AS modality,
    part.2 AS hop,
    assumeNotNull(part.3) AS ms
FROM frames
ARRAY JOIN
    [
        ('face', 'transport', face_transport_ms),
        ('face', 'ingest', face_ingest_ms),
        ('face', 'queue', face_queue_ms),
        ('face', 'inference', face_inference_ms),
        ('face', 'fusion', face_fusion_ms),
        ('face', 'total', face_total_ms),
        ('speech', 'transport', speech_transport_ms),
        ('speech', 'ingest', speech_ingest_ms),
        ('speech', 'queue', speech_queue_ms),
        ('speech', 'inference', speech_inference_ms),
        ('speech', 'fusion', speech_fusion_ms),
        ('speech', 'total', speech_total_ms)
    ] AS part
WHERE part.3 IS NOT NULL
COMMENT 'One row a frame, modality and hop: ms from one stamp to the next of the sample that counted; total: capture to frame.';

CREATE VIEW experiment_assignments AS
SELECT
    experiment,
    variant,
    salt,
    tenant,
    subject,
    session_id,
    captured_at AS assigned_at,
    mapping,
    smoothing,
    config_version
FROM
(
    SELECT *
    FROM sessions
    WHERE kind = 'started'
    ORDER BY session_id, topic_id, partition, offset
    LIMIT 1 BY session_id
)
WHERE experiment != ''
COMMENT 'Which variant each session was given, from its SessionStarted; each once.';

CREATE VIEW experiment_exposures AS
SELECT
    a.experiment AS experiment,
    a.variant AS variant,
    a.subject AS subject,
    e.session_id AS session_id,
    e.client_id AS client_id,
    min(e.captured_at) AS first_exposed_at,
    count() AS exposures
FROM client_events AS e FINAL
INNER JOIN experiment_assignments AS a ON a.session_id = e.session_id
WHERE e.kind = 'exposure'
GROUP BY experiment, variant, subject, session_id, client_id
COMMENT 'Who has really seen a variant, and since when: one row a session and connection.';
