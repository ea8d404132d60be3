-- Agents' signs of life, as the hub heard them: up to when it is known that a node was watched.

CREATE TABLE agent_signs{on_cluster} (
    time DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    from_time DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    agent LowCardinality(String),
    node LowCardinality(String),
    {origin}
) ENGINE = {engine:agent_signs} PARTITION BY day ORDER BY (agent, time)
SETTINGS {settings};
