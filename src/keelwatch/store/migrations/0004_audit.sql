-- Requests to the API server, one row for each stage that its policy records (audit.k8s.io/v1). An event
-- is named by (audit_id, stage); its time never changes, so by the key a repeat is found at once.

CREATE TABLE audit{on_cluster} (
    time DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    received DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    audit_id String,
    stage LowCardinality(String),
    level LowCardinality(String),
    verb LowCardinality(String),
    uri String CODEC(ZSTD(1)),
    user LowCardinality(String),
    user_uid LowCardinality(String),
    groups Array(LowCardinality(String)),
    user_extra String CODEC(ZSTD(1)),
    impersonated_user LowCardinality(String),
    impersonated_groups Array(LowCardinality(String)),
    source_ips Array(LowCardinality(String)),
    user_agent LowCardinality(String),
    api_group LowCardinality(String),
    api_version LowCardinality(String),
    resource LowCardinality(String),
    subresource LowCardinality(String),
    name String,
    code UInt16,
    reason LowCardinality(String),
    decision LowCardinality(String),
    command String CODEC(ZSTD(1)),
    annotations String CODEC(ZSTD(1)),
    request_object String CODEC(ZSTD(1)),
    response_object String CODEC(ZSTD(1)),
    truncated UInt8,
    source LowCardinality(String),
    {identity},
    {origin}
) ENGINE = {engine:audit} PARTITION BY day ORDER BY (time, audit_id)
SETTINGS {settings};
