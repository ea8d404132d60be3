-- Access sessions: who entered a container by the API server, and the trees of processes that came of it.
-- A session is named by `id`; each row is what was known of it at its `version`, the highest one counts.

ALTER TABLE audit{on_cluster}
    ADD COLUMN IF NOT EXISTS requested DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)) AFTER time;

CREATE TABLE access{on_cluster} (
    time DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    id String,
    version UInt64,
    kind LowCardinality(String),
    state LowCardinality(String),
    user LowCardinality(String),
    groups Array(LowCardinality(String)),
    impersonated_user LowCardinality(String),
    source_ips Array(LowCardinality(String)),
    user_agent LowCardinality(String),
    verb LowCardinality(String),
    code UInt16,
    through LowCardinality(String),
    command String CODEC(ZSTD(1)),
    tty UInt8,
    stdin UInt8,
    debug_image String,
    target_container LowCardinality(String),
    started DateTime64(9, 'UTC'),
    ended DateTime64(9, 'UTC'),
    confidence LowCardinality(String),
    reason String CODEC(ZSTD(1)),
    entry_pid UInt32,
    entry_start UInt64,
    trees Array(String),
    until DateTime64(9, 'UTC'),
    candidates String CODEC(ZSTD(1)),
    requests Array(String),
    events UInt64,
    alerts UInt64,
    files UInt64,
    last_event DateTime64(9, 'UTC'),
    {identity},
    {origin},
    INDEX ids id TYPE bloom_filter(0.001) GRANULARITY 4,
    INDEX tree_names trees TYPE bloom_filter(0.001) GRANULARITY 4
) ENGINE = {engine:access} PARTITION BY day ORDER BY (time, id, version)
SETTINGS {settings};
