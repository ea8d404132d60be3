"""What is said on standard error beside the records: that there are none and why, or that there are more."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from keelwatch.cli.client import HubClient
from keelwatch.cli.errors import NOT_FOUND, CliError

DEFAULT_TAIL = 1000
"""Records that the hub gives when it is not told how many."""
_TARGET = ("namespace", "workload", "pod", "cluster")


def tell_amount(client: HubClient, filters: Mapping[str, str], what: str, count: int) -> None:
    """Say that nothing was found, or that only the newest were; raise CliError for an unknown workload."""
    if "follow" in filters or filters.get("tail") == "0":
        return
    if not count:
        _check_known(client, filters)
        sys.stderr.write(f"No {what} found.\n")
    elif count == DEFAULT_TAIL and "tail" not in filters:
        sys.stderr.write(f"These are the newest {DEFAULT_TAIL} {what}; --tail N for more.\n")


def _check_known(client: HubClient, filters: Mapping[str, str]) -> None:
    """A name that the hub has never heard is more likely a slip than a silent workload."""
    target = {name: filters[name] for name in _TARGET if name in filters}
    if (
        not target.keys() & {"namespace", "workload", "pod"}
        or client.get("/api/v1/workloads", target)["workloads"]
    ):
        return
    kind = "pod" if "pod" in target else "workload"
    name = f" {target[kind]!r}" if kind in target else ""
    where = f" in namespace {target['namespace']!r}" if "namespace" in target else ""
    raise CliError(f"no {kind}{name} is known{where}", NOT_FOUND, "`keelwatch workloads` lists what is.")
