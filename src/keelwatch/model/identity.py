"""Who a record is about: one container instance and the workload that owns it.

The identity is frozen into a record when the record is made, so that a deleted pod stays as
queryable as a running one.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Identity:
    """One container instance, or the node itself when `container_id` is empty.

    `source` says where each field came from, as `field=source` pairs separated by blanks; the
    sources are `config`, `cgroup`, `runtime` (the runtime's state on disk), `cri` (its socket),
    `path` (the log file's path), `inferred` (from the sandbox's labels), `kubernetes`.
    """

    cluster: str = ""
    node: str = ""
    namespace: str = ""
    pod: str = ""
    pod_uid: str = ""
    container: str = ""
    container_id: str = ""
    restart: int = 0
    image: str = ""
    image_digest: str = ""
    workload_kind: str = ""
    workload: str = ""
    revision: str = ""
    team: str = ""
    identity_source: str = ""

    def columns(self) -> dict[str, Any]:
        """The identity as the columns every table shares (name -> str, `restart` -> int)."""
        return asdict(self)


IDENTITY_COLUMNS: tuple[str, ...] = tuple(f.name for f in fields(Identity))
"""Names of the shared identity columns, in the order of the tables and of the log chunk format."""
