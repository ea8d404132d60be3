-- Tables of records. `{engine}` is replaced by store/engines.py: the one place where an embedded
-- store, a server and a cluster differ.
--
-- Every table: the identity, frozen at event time; `day` is the batch's day and the partition (so a
-- batch is one part, whatever its lines claim about time); (spool, seq, row) names a row for ever.

CREATE TABLE logs (
    time DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    stream LowCardinality(String),
    message String CODEC(ZSTD(1)),
    {identity},
    {origin},
    INDEX message_tokens message TYPE tokenbf_v1(65536, 4, 0) GRANULARITY 4,
    INDEX time_range time TYPE minmax GRANULARITY 1,
    {highest}
) ENGINE = {engine} PARTITION BY day ORDER BY (namespace, workload, container_id, time);

CREATE TABLE events (
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
    INDEX time_range time TYPE minmax GRANULARITY 1,
    {highest}
) ENGINE = {engine} PARTITION BY day ORDER BY (namespace, workload, kind, time);

CREATE TABLE alerts (
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
    {highest}
) ENGINE = {engine} PARTITION BY day ORDER BY (time, id);

CREATE TABLE lifecycle (
    time DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    kind LowCardinality(String),
    labels Map(LowCardinality(String), String),
    detail String,
    {identity},
    {origin},
    {highest}
) ENGINE = {engine} PARTITION BY day ORDER BY (namespace, workload, time);

CREATE TABLE gaps (
    time DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    what LowCardinality(String),
    cause LowCardinality(String),
    from_time DateTime64(9, 'UTC'),
    to_time DateTime64(9, 'UTC'),
    amount UInt64,
    unit LowCardinality(String),
    detail String,
    {identity},
    {origin},
    {highest}
) ENGINE = {engine} PARTITION BY day ORDER BY time;

-- {identity}: cluster, node, namespace, pod, pod_uid, container, container_id, image, image_digest,
--   workload_kind, workload, revision, team, identity_source LowCardinality(String); restart UInt32
-- {origin}:   spool LowCardinality(String), seq UInt64, row UInt32, day Date
-- {highest}:  a projection of max(seq) by spool, so that the truth after a restart is cheap to ask
-- {process}:  pid UInt32, ppid UInt32, uid UInt32, gid UInt32, loginuid Int64, tty UInt32,
--   comm, exe, cmdline, cwd String; process String (JSON object); ancestors String (JSON array)
-- {file}:     path, path_source, old_path, old_path_source String; flags UInt64, mode UInt32,
--   inode UInt64, device UInt64, size UInt64, upper UInt8, memfd UInt8, created UInt8, truncated UInt8,
--   sha256 String, drift LowCardinality(String),
--   file_namespace, file_pod, file_container, file_container_id, file_workload LowCardinality(String)
