-- Fairness: the group that people declare, with their consent.
ALTER TABLE sessions
    ADD COLUMN IF NOT EXISTS `fairness_consented` Bool DEFAULT false COMMENT 'started: errors may be compared by the declared group.' CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS `declared_group` LowCardinality(String) DEFAULT '' COMMENT 'started: the group that the person says to belong to; empty without that consent.' CODEC(ZSTD(1));
CREATE VIEW declared_groups AS
SELECT
    session_id,
    any(s.declared_group) AS declared_group
FROM sessions AS s
WHERE kind = 'started' AND fairness_consented AND s.declared_group != ''
    AND session_id NOT IN
    (
        SELECT session_id
        FROM client_events
        WHERE kind = 'opt_out' OR (kind = 'consent_changed' AND NOT has(splitByChar(' ', detail), 'fairness'))
    )
GROUP BY session_id
COMMENT 'Which group each session was declared to belong to, while consent to compare groups stands.';
ALTER TABLE client_events
    COMMENT COLUMN detail 'consent_changed: the scopes now given; exposure: experiment/variant; rating: what the person felt, if told; otherwise free text without personal data.';
