"""What happened in a session as a tree: processes under those that started them, each with its doings.

A root has `over`, when the last process of its tree ended, "" if that was not seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Node = dict[str, Any]
Key = tuple[str, int, int, int]
MAX_NODES = 2000
MAX_DOINGS = 200
"""Doings of one process that are shown; more are counted."""
_SHOWN = (
    "time", "kind", "type", "result", "path", "old_path", "drift", "created", "memfd", "file_namespace",
    "file_pod", "file_container",
)  # fmt: skip


def trees(events: Sequence[Mapping[str, Any]]) -> list[Node]:
    """Roots with `children`; a node is a process with the programs it ran (`images`) and its `doings`.

    Events come oldest first. A process that only forked has no event: it is known as an ancestor.
    """
    nodes: dict[Key, Node] = {}
    roots: list[Node] = []
    over: dict[tuple[str, int, int], str] = {}
    for event in events:
        if event["kind"] == "exit":
            over[_tree(event)] = str(event["time"])
            continue
        node = _node_of(nodes, roots, event)
        if node is not None:
            _add(node, event)
    for root in roots:
        root["over"] = over.get(root.pop("tree"), "")
    return roots


def _tree(event: Mapping[str, Any]) -> tuple[str, int, int]:
    return str(event["container_id"]), int(event["entry_pid"]), int(event["entry_start"])


def _node_of(nodes: dict[Key, Node], roots: list[Node], event: Mapping[str, Any]) -> Node | None:
    """The node of an event's process; its parents are made where they are missing."""
    tree = _tree(event)
    entry = tree[1]
    above: Node | None = None
    for process in _line(event, entry):
        key = (*tree, int(process["pid"]))
        node = nodes.get(key)
        if node is None:
            if len(nodes) >= MAX_NODES:
                return above
            node = nodes[key] = _node(process, event)
            if above is None:
                node["tree"] = tree
            (roots if above is None else above["children"]).append(node)
        above = node
    return above


def _line(event: Mapping[str, Any], entry: int) -> list[Mapping[str, Any]]:
    """The process and its ancestors from the tree's entry down, one for each pid.

    An orphan's ancestors do not lead to the entry any more, nor do more of them than a record has.
    """
    own = {"pid": event["pid"], "name": event["comm"], "exe": event["exe"], "cmdline": event["cmdline"],
           "uid": event["uid"]}  # fmt: skip
    line: list[Mapping[str, Any]] = [own]
    ancestors = event["ancestors"] if isinstance(event["ancestors"], list) else []
    for process in ancestors:
        if int(line[-1]["pid"]) == entry or process.get("container_id") != event["container_id"]:
            break
        if int(process["pid"]) != int(line[-1]["pid"]):
            line.append(process)
    if int(line[-1]["pid"]) != entry:
        line.append({"pid": entry})
    return line[::-1]


def _node(process: Mapping[str, Any], event: Mapping[str, Any]) -> Node:
    return {
        "pid": int(process["pid"]),
        "uid": process.get("uid"),
        "time": event["time"],
        "name": process.get("name", ""),
        "cmdline": process.get("cmdline", ""),
        "exe": process.get("exe", ""),
        "container": event["container"],
        "images": [],
        "doings": [],
        "more": 0,
        "children": [],
    }


def _add(node: Node, event: Mapping[str, Any]) -> None:
    """An exec changes what the process is; what it was stays in `images`."""
    if event["kind"] == "exec" and int(event["result"]) >= 0:
        node["images"].append(
            {"time": event["time"], "cmdline": event["cmdline"], "exe": event["exe"], "drift": event["drift"]}
        )
        node |= {"cmdline": event["cmdline"], "exe": event["exe"], "name": event["comm"], "uid": event["uid"]}
    elif len(node["doings"]) < MAX_DOINGS:
        node["doings"].append({name: event[name] for name in _SHOWN})
    else:
        node["more"] += 1
