"""Shapes of the API's answers, for OpenAPI. Names of records' fields: docs/reference/records.md."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Problem(BaseModel):
    """What went wrong, for programs (`code`) and people."""

    code: str
    message: str
    hint: str = ""


class ErrorAnswer(BaseModel):
    """Every answer that is not the one asked for."""

    error: Problem


class Instance(BaseModel):
    """One container of one pod of a workload."""

    pod: str
    container: str
    container_id: str
    revision: str
    image: str
    node: str
    first_seen: str
    last_seen: str
    state: str = Field(description="running, ended, or unknown where no lifecycle record is there")
    logs: int
    events: int
    alerts: int


class Workload(BaseModel):
    """The top owner of pods, and what was recorded about it."""

    cluster: str
    namespace: str
    workload_kind: str
    workload: str
    team: str
    instances: list[Instance]
    logs: int
    events: int
    alerts: int
    last_seen: str


class WorkloadsAnswer(BaseModel):
    """Workloads, the latest seen first."""

    workloads: list[Workload]


class InstanceName(BaseModel):
    """Which instance."""

    pod: str
    container_id: str
    node: str


class Compared(BaseModel):
    """A line, program or file, and how many of the instances have it."""

    value: str = Field(description="a line with # for numbers and ids, or a path")
    container: str
    instances: int
    of: int = Field(description="instances of this container's name with any records")
    records: int
    first_seen: str
    last_seen: str
    among: list[InstanceName] = Field(description="up to five of the instances")
    example: str


class CompareAnswer(BaseModel):
    """What instances have in common, and what only some have: the rarest first."""

    by: str
    instances: int
    values: list[Compared]


class HistogramAnswer(BaseModel):
    """Lines by step of time."""

    model_config = ConfigDict(populate_by_name=True)

    begin: str = Field(alias="from")
    to: str
    step: int = Field(description="seconds")
    counts: list[int]
    stderr: list[int]


class AlertRecord(BaseModel):
    """An alert; further fields as in docs/reference/records.md."""

    model_config = ConfigDict(extra="allow")

    time: str
    id: str
    rule: str
    priority: str
    tags: list[str]
    output: str
    count: int
    process: dict[str, Any]
    ancestors: list[dict[str, Any]]
    story: dict[str, Any] | None


class Store(BaseModel):
    """Size of the store."""

    bytes: int
    rows: dict[str, int]
    parts: int


class AgentState(BaseModel):
    """One agent's spool, as the hub has heard of it since its start."""

    node: str
    spool: str
    address: str
    last_seen: str | None
    batches: int
    rows: int
    stored: dict[str, int]
    clock_skew: float | None = Field(description="seconds by which the node's clock is ahead of the hub's")


class GapSum(BaseModel):
    """Gaps of the last day with one cause."""

    cause: str
    what: str
    unit: str
    amount: int
    gaps: int
    seconds: int = Field(description="how long the gaps were, together")


class StatusAnswer(BaseModel):
    """The hub about itself."""

    version: str
    uptime: int = Field(description="seconds")
    problems: list[str] = Field(description="what is wrong with the hub now, as sentences")
    store: Store
    objects: dict[str, int] = Field(
        description="Kubernetes objects known now, by kind; empty without an API server"
    )
    agents: list[AgentState]
    gaps: list[GapSum]
