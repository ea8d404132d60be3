-- Tables of records. What stands in braces is filled in by store/schema.py (columns that tables
-- share) and store/engines.py (the one place where an embedded store, a server and a cluster differ).
--
-- Every table: the identity, frozen at event time; `day` is the batch's day and the partition (so a
-- batch is one part, whatever its lines claim about time); (spool, seq, row) names a row for ever.

CREATE TABLE logs{on_cluster} (
    time DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    stream LowCardinality(String),
    message String CODEC(ZSTD(1)),
    {identity},
    {origin},
    INDEX message_tokens message TYPE tokenbf_v1(65536, 4, 0) GRANULARITY 4,
    INDEX time_range time TYPE minmax GRANULARITY 1
) ENGINE = {engine:logs} PARTITION BY day ORDER BY (namespace, workload, container_id, time)
SETTINGS {settings};

CREATE TABLE events{on_cluster} (
    time DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    kind LowCardinality(String),
    type LowCardinality(String),
    result Int64,
    phase LowCardinality(String),
    {process},
    {file},
    detail String CODEC(ZSTD(1)),
    {identity},
    {origin},
    INDEX time_range time TYPE minmax GRANULARITY 1
) ENGINE = {engine:events} PARTITION BY day ORDER BY (namespace, workload, kind, time)
SETTINGS {settings};

CREATE TABLE alerts{on_cluster} (
    time DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    id String,
    rule LowCardinality(String),
    priority LowCardinality(String),
    tags Array(LowCardinality(String)),
    output String,
    source LowCardinality(String),
    count UInt32,
    kind LowCardinality(String),
    type LowCardinality(String),
    result Int64,
    phase LowCardinality(String),
    {process},
    {file},
    story String CODEC(ZSTD(1)),
    detail String CODEC(ZSTD(1)),
    {identity},
    {origin},
    INDEX ids id TYPE bloom_filter(0.001) GRANULARITY 4
) ENGINE = {engine:alerts} PARTITION BY day ORDER BY (time, id)
SETTINGS {settings};

CREATE TABLE lifecycle{on_cluster} (
    time DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    kind LowCardinality(String),
    labels Map(LowCardinality(String), String),
    detail String,
    {identity},
    {origin}
) ENGINE = {engine:lifecycle} PARTITION BY day ORDER BY (namespace, workload, time)
SETTINGS {settings};

CREATE TABLE gaps{on_cluster} (
    time DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    what LowCardinality(String),
    cause LowCardinality(String),
    from_time DateTime64(9, 'UTC'),
    to_time DateTime64(9, 'UTC'),
    amount UInt64,
    unit LowCardinality(String),
    detail String,
    {identity},
    {origin}
) ENGINE = {engine:gaps} PARTITION BY day ORDER BY time
SETTINGS {settings};
