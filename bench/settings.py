"""How much of everything: enough to measure, or just enough to see that a benchmark works."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Sizes of all benchmarks. `rounds` counts alternating measurements (off, floor, on, off, …)."""

    alert_trials: int = 200
    execs: int = 20_000
    exec_rounds: int = 3
    opens: int = 1_000_000
    open_rounds: int = 5
    redis_requests: int = 100_000
    redis_rounds: int = 5
    log_bytes: int = 10**9
    idle_pods: int = 10
    idle_seconds: float = 60.0
    loads: int = 5
    agents: int = 200
    recording_seconds: float = 30.0
    play_seconds: float = 120.0
    cluster_nodes: int = 1000
    cluster_pods: int = 30_000
    churn_rate: float = 50.0
    churn_seconds: float = 120.0
    covered_containers: int = 300_000


FULL = Settings()
QUICK = Settings(
    alert_trials=10,
    execs=500,
    exec_rounds=1,
    opens=50_000,
    open_rounds=1,
    redis_requests=10_000,
    redis_rounds=1,
    log_bytes=20_000_000,
    idle_pods=2,
    idle_seconds=5.0,
    loads=1,
    agents=20,
    recording_seconds=8.0,
    play_seconds=15.0,
    cluster_nodes=50,
    cluster_pods=1000,
    churn_rate=20.0,
    churn_seconds=10.0,
    covered_containers=4000,
)
