-- The history of Kubernetes objects: one row for each version that matters. `time` is when the hub
-- noticed; `created` is the object's own. The last row of a uid is what it is now, or was at its end.

CREATE TABLE objects{on_cluster} (
    time DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    event LowCardinality(String),
    cluster LowCardinality(String),
    kind LowCardinality(String),
    namespace LowCardinality(String),
    name String CODEC(ZSTD(1)),
    uid String CODEC(ZSTD(1)),
    created DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    node LowCardinality(String),
    labels Map(LowCardinality(String), String),
    labels_cut UInt32,
    owner_kind LowCardinality(String),
    owner_name LowCardinality(String),
    owner_uid LowCardinality(String),
    workload_kind LowCardinality(String),
    workload LowCardinality(String),
    revision LowCardinality(String),
    team LowCardinality(String),
    team_source LowCardinality(String),
    images Array(LowCardinality(String)),
    image_digests Array(LowCardinality(String)),
    container_ids Array(String),
    containers String CODEC(ZSTD(1)),
    phase LowCardinality(String),
    reason LowCardinality(String),
    detail String CODEC(ZSTD(1)),
    resource_version String,
    content_hash String,
    {origin},
    INDEX uids uid TYPE bloom_filter(0.001) GRANULARITY 4
) ENGINE = {engine:objects} PARTITION BY day ORDER BY (kind, namespace, name, uid, time)
SETTINGS {settings};
