-- What analysts read. Where a restarted worker or fusion published a record again, these show the first one: a frame or
-- signal is (session_id, sequence). A condition on session_id reaches the tables' primary key.
CREATE VIEW frames AS
SELECT
    session_id,
    sequence,
    captured_at,
    fused_at,
    face_age_us / 1000 AS face_age_ms,
    face_transport_us / 1000 AS face_transport_ms,
    face_ingest_us / 1000 AS face_ingest_ms,
    face_queue_us / 1000 AS face_queue_ms,
    face_inference_us / 1000 AS face_inference_ms,
    (toUnixTimestamp64Micro(toDateTime64(fused_at, 6)) - toUnixTimestamp64Micro(captured_at)
        + face_age_us - face_transport_us - face_ingest_us - face_queue_us - face_inference_us) / 1000 AS face_fusion_ms,
    (toUnixTimestamp64Micro(toDateTime64(fused_at, 6)) - toUnixTimestamp64Micro(captured_at) + face_age_us) / 1000 AS face_total_ms,
    speech_age_us / 1000 AS speech_age_ms,
    speech_transport_us / 1000 AS speech_transport_ms,
    speech_ingest_us / 1000 AS speech_ingest_ms,
    speech_queue_us / 1000 AS speech_queue_ms,
    speech_inference_us / 1000 AS speech_inference_ms,
    (toUnixTimestamp64Micro(toDateTime64(fused_at, 6)) - toUnixTimestamp64Micro(captured_at)
        + speech_age_us - speech_transport_us - speech_ingest_us - speech_queue_us - speech_inference_us) / 1000 AS speech_fusion_ms,
    (toUnixTimestamp64Micro(toDateTime64(fused_at, 6)) - toUnixTimestamp64Micro(captured_at) + speech_age_us) / 1000 AS speech_total_ms,
    toFloat32(`emotion_neutral` / 255) AS `emotion_neutral`,
    toFloat32(`emotion_happy` / 255) AS `emotion_happy`,
    toFloat32(`emotion_sad` / 255) AS `emotion_sad`,
    toFloat32(`emotion_angry` / 255) AS `emotion_angry`,
    toFloat32(`emotion_surprise` / 255) AS `emotion_surprise`,
    toFloat32(`emotion_fear` / 255) AS `emotion_fear`,
    toFloat32(`emotion_disgust` / 255) AS `emotion_disgust`,
    toFloat32(`valence` / 10000) AS `valence`,
    toFloat32(`arousal` / 10000) AS `arousal`,
    toFloat32(`dominance` / 10000) AS `dominance`,
    toFloat32(`gaze_x` / 10000) AS `gaze_x`,
    toFloat32(`gaze_y` / 10000) AS `gaze_y`,
    toFloat32(`speaking_probability` / 255) AS `speaking_probability`,
    toFloat32(`viseme_confidence` / 255) AS `viseme_confidence`,
    toFloat32(`face_weight` / 255) AS `face_weight`,
    toFloat32(`speech_weight` / 255) AS `speech_weight`,
    toFloat32(`face_confidence` / 255) AS `face_confidence`,
    toFloat32(`speech_confidence` / 255) AS `speech_confidence`,
    toFloat32(`glow_intensity` / 255) AS `glow_intensity`,
    toFloat32(`body_slouch` / 255) AS `body_slouch`,
    toFloat32(`AU01` / 255) AS `AU01`,
    toFloat32(`AU02` / 255) AS `AU02`,
    toFloat32(`AU04` / 255) AS `AU04`,
    toFloat32(`AU05` / 255) AS `AU05`,
    toFloat32(`AU06` / 255) AS `AU06`,
    toFloat32(`AU07` / 255) AS `AU07`,
    toFloat32(`AU09` / 255) AS `AU09`,
    toFloat32(`AU10` / 255) AS `AU10`,
    toFloat32(`AU12` / 255) AS `AU12`,
    toFloat32(`AU14` / 255) AS `AU14`,
    toFloat32(`AU15` / 255) AS `AU15`,
    toFloat32(`AU17` / 255) AS `AU17`,
    toFloat32(`AU18` / 255) AS `AU18`,
    toFloat32(`AU20` / 255) AS `AU20`,
    toFloat32(`AU23` / 255) AS `AU23`,
    toFloat32(`AU24` / 255) AS `AU24`,
    toFloat32(`AU25` / 255) AS `AU25`,
    toFloat32(`AU26` / 255) AS `AU26`,
    toFloat32(`AU28` / 255) AS `AU28`,
    toFloat32(`AU45` / 255) AS `AU45`,
    toFloat32(`pose_yaw` / 100) AS `pose_yaw`,
    toFloat32(`pose_pitch` / 100) AS `pose_pitch`,
    toFloat32(`pose_roll` / 100) AS `pose_roll`,
    toFloat32(`head_yaw` / 100) AS `head_yaw`,
    toFloat32(`head_pitch` / 100) AS `head_pitch`,
    toFloat32(`head_roll` / 100) AS `head_roll`,
    toFloat32(`neck_pitch` / 100) AS `neck_pitch`,
    toFloat32(`body_lean` / 100) AS `body_lean`,
    toFloat32(`browDownLeft` / 255) AS `browDownLeft`,
    toFloat32(`browDownRight` / 255) AS `browDownRight`,
    toFloat32(`browInnerUp` / 255) AS `browInnerUp`,
    toFloat32(`browOuterUpLeft` / 255) AS `browOuterUpLeft`,
    toFloat32(`browOuterUpRight` / 255) AS `browOuterUpRight`,
    toFloat32(`cheekPuff` / 255) AS `cheekPuff`,
    toFloat32(`cheekSquintLeft` / 255) AS `cheekSquintLeft`,
    toFloat32(`cheekSquintRight` / 255) AS `cheekSquintRight`,
    toFloat32(`eyeBlinkLeft` / 255) AS `eyeBlinkLeft`,
    toFloat32(`eyeBlinkRight` / 255) AS `eyeBlinkRight`,
    toFloat32(`eyeLookDownLeft` / 255) AS `eyeLookDownLeft`,
    toFloat32(`eyeLookDownRight` / 255) AS `eyeLookDownRight`,
    toFloat32(`eyeLookInLeft` / 255) AS `eyeLookInLeft`,
    toFloat32(`eyeLookInRight` / 255) AS `eyeLookInRight`,
    toFloat32(`eyeLookOutLeft` / 255) AS `eyeLookOutLeft`,
    toFloat32(`eyeLookOutRight` / 255) AS `eyeLookOutRight`,
    toFloat32(`eyeLookUpLeft` / 255) AS `eyeLookUpLeft`,
    toFloat32(`eyeLookUpRight` / 255) AS `eyeLookUpRight`,
    toFloat32(`eyeSquintLeft` / 255) AS `eyeSquintLeft`,
    toFloat32(`eyeSquintRight` / 255) AS `eyeSquintRight`,
    toFloat32(`eyeWideLeft` / 255) AS `eyeWideLeft`,
    toFloat32(`eyeWideRight` / 255) AS `eyeWideRight`,
    toFloat32(`jawForward` / 255) AS `jawForward`,
    toFloat32(`jawLeft` / 255) AS `jawLeft`,
    toFloat32(`jawOpen` / 255) AS `jawOpen`,
    toFloat32(`jawRight` / 255) AS `jawRight`,
    toFloat32(`mouthClose` / 255) AS `mouthClose`,
    toFloat32(`mouthDimpleLeft` / 255) AS `mouthDimpleLeft`,
    toFloat32(`mouthDimpleRight` / 255) AS `mouthDimpleRight`,
    toFloat32(`mouthFrownLeft` / 255) AS `mouthFrownLeft`,
    toFloat32(`mouthFrownRight` / 255) AS `mouthFrownRight`,
    toFloat32(`mouthFunnel` / 255) AS `mouthFunnel`,
    toFloat32(`mouthLeft` / 255) AS `mouthLeft`,
    toFloat32(`mouthLowerDownLeft` / 255) AS `mouthLowerDownLeft`,
    toFloat32(`mouthLowerDownRight` / 255) AS `mouthLowerDownRight`,
    toFloat32(`mouthPressLeft` / 255) AS `mouthPressLeft`,
    toFloat32(`mouthPressRight` / 255) AS `mouthPressRight`,
    toFloat32(`mouthPucker` / 255) AS `mouthPucker`,
    toFloat32(`mouthRight` / 255) AS `mouthRight`,
    toFloat32(`mouthRollLower` / 255) AS `mouthRollLower`,
    toFloat32(`mouthRollUpper` / 255) AS `mouthRollUpper`,
    toFloat32(`mouthShrugLower` / 255) AS `mouthShrugLower`,
    toFloat32(`mouthShrugUpper` / 255) AS `mouthShrugUpper`,
    toFloat32(`mouthSmileLeft` / 255) AS `mouthSmileLeft`,
    toFloat32(`mouthSmileRight` / 255) AS `mouthSmileRight`,
    toFloat32(`mouthStretchLeft` / 255) AS `mouthStretchLeft`,
    toFloat32(`mouthStretchRight` / 255) AS `mouthStretchRight`,
    toFloat32(`mouthUpperUpLeft` / 255) AS `mouthUpperUpLeft`,
    toFloat32(`mouthUpperUpRight` / 255) AS `mouthUpperUpRight`,
    toFloat32(`noseSneerLeft` / 255) AS `noseSneerLeft`,
    toFloat32(`noseSneerRight` / 255) AS `noseSneerRight`,
    toFloat32(`tongueOut` / 255) AS `tongueOut`,
    toFloat32(`viseme_sil` / 255) AS `viseme_sil`,
    toFloat32(`viseme_PP` / 255) AS `viseme_PP`,
    toFloat32(`viseme_FF` / 255) AS `viseme_FF`,
    toFloat32(`viseme_TH` / 255) AS `viseme_TH`,
    toFloat32(`viseme_DD` / 255) AS `viseme_DD`,
    toFloat32(`viseme_kk` / 255) AS `viseme_kk`,
    toFloat32(`viseme_CH` / 255) AS `viseme_CH`,
    toFloat32(`viseme_SS` / 255) AS `viseme_SS`,
    toFloat32(`viseme_nn` / 255) AS `viseme_nn`,
    toFloat32(`viseme_RR` / 255) AS `viseme_RR`,
    toFloat32(`viseme_aa` / 255) AS `viseme_aa`,
    toFloat32(`viseme_E` / 255) AS `viseme_E`,
    toFloat32(`viseme_ih` / 255) AS `viseme_ih`,
    toFloat32(`viseme_oh` / 255) AS `viseme_oh`,
    toFloat32(`viseme_ou` / 255) AS `viseme_ou`,
    discontinuity,
    face_live,
    speech_live,
    viseme_mouth,
    closed_by_max_wait,
    mapping,
    topic,
    partition,
    offset
FROM
(
    SELECT *
    FROM avatar_frames
    ORDER BY session_id, sequence, topic_id, partition, offset
    LIMIT 1 BY session_id, sequence
)
COMMENT 'Avatar frames, each once, in units: scores, weights and levels 0..1, affect -1..1, angles in degrees. *_age_ms: tick less capture; *_transport, _ingest, _queue, _inference, _fusion: the hops; *_total_ms: their sum, capture to fused.';

CREATE VIEW signals_speech AS
SELECT
    *
FROM
(
    SELECT *
    FROM speech_signals
    ORDER BY session_id, sequence, topic_id, partition, offset
    LIMIT 1 BY session_id, sequence
)
COMMENT 'Speech signals, each once.';

CREATE VIEW signals_face AS
SELECT
    *
FROM
(
    SELECT *
    FROM face_signals
    ORDER BY session_id, sequence, topic_id, partition, offset
    LIMIT 1 BY session_id, sequence
)
COMMENT 'Face signals, each once.';

CREATE VIEW session_list AS
SELECT
    session_id,
    minIf(captured_at, kind = 'started') AS started_at,
    maxOrNullIf(captured_at, kind = 'ended') AS ended_at,
    argMinIf(tenant, offset, kind = 'started') AS tenant,
    argMinIf(subject, offset, kind = 'started') AS subject,
    argMinIf(timeline, offset, kind = 'started') AS timeline,
    argMinIf(audio_consented, offset, kind = 'started') AS audio_consented,
    argMinIf(video_consented, offset, kind = 'started') AS video_consented,
    argMinIf(store_raw_consented, offset, kind = 'started') AS store_raw_consented,
    argMinIf(mapping, offset, kind = 'started') AS mapping,
    argMinIf(smoothing, offset, kind = 'started') AS smoothing,
    argMinIf(config_version, offset, kind = 'started') AS config_version,
    argMinIf(experiment, offset, kind = 'started') AS experiment,
    argMinIf(variant, offset, kind = 'started') AS variant,
    argMinIf(end_reason, offset, kind = 'ended') AS end_reason
FROM sessions
GROUP BY session_id
COMMENT 'One row a session: its first start and its end; ended_at is null while it lives.';
