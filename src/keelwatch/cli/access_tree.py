"""One access session for a reader: the facts, the alerts, the tree of processes with their doings."""

from __future__ import annotations

from typing import Any

from keelwatch.cli.output import PRIORITY_STYLES, Record, emit, safe, styled
from keelwatch.kit.text import short_time

LONGEST = 2000


def print_session(session: Record, who: str, lasted: str) -> None:
    """Print everything a session tells."""
    user = styled(safe(who), "bold")
    emit(
        f"{user}  {safe(session.get('kind', ''))}  {safe(str(session.get('command', ''))[:LONGEST])}".rstrip()
    )
    emit(f"{short_time(str(session.get('time', '')), digits=3)} UTC  {safe(session.get('id', ''))}")
    _print_facts(session, lasted)
    _print_candidates(session)
    _print_alerts(session.get("alert_records") or [])
    _print_trees(session)


def _print_facts(session: Record, lasted: str) -> None:
    sure = str(session.get("confidence", ""))
    reason = session.get("reason")
    facts = {
        "confidence": f"{sure}: {reason}" if reason else sure,
        "lasted": lasted,
        "groups": ", ".join(session.get("groups") or ()),
        "from": ", ".join(session.get("source_ips") or ()),
        "client": session.get("user_agent"),
        "by way of": session.get("through"),
        "terminal": "yes" if session.get("tty") else "no",
        "stdin": "yes" if session.get("stdin") else "no",
        "image": session.get("debug_image"),
        "target": session.get("target_container"),
        "requests": ", ".join(session.get("requests") or ()),
        "did": f"{session.get('events', 0)} events, {session.get('alerts', 0)} alerts, "
        f"{session.get('files', 0)} files changed",
        "left running": _left(session),
    }
    where = ("cluster", "node", "namespace", "workload_kind", "workload", "pod", "container", "container_id")
    for name, value in (facts | {name: session.get(name) for name in where}).items():
        if value not in (None, ""):
            emit(f"  {styled(f'{name:<14}', 'dim')} {safe(value)}")


def _left(session: Record) -> str:
    """What a session that has ended left in the container."""
    count = session.get("running") or 0
    if session.get("state") != "ended" or not count:
        return ""
    return f"{count} tree{'s' * (count > 1)} of processes, not seen to end"


def _print_candidates(session: Record) -> None:
    candidates = session.get("candidates") or []
    if len(candidates) < 2:
        return
    _head("Processes that it may be")
    for one in candidates:
        emit(f"  {safe(one.get('cmdline', ''))} {styled(_pid(one), 'dim')} {safe(one.get('container', ''))}")


def _print_alerts(alerts: list[Record]) -> None:
    if not alerts:
        return
    _head("Alerts")
    for alert in alerts:
        priority = str(alert.get("priority", ""))
        level = styled(safe(priority), PRIORITY_STYLES.get(priority.lower(), ""))
        when = styled(short_time(str(alert.get("time", "")), digits=3), "dim")
        emit(f"  {when} {level} {safe(alert.get('rule', ''))}: {safe(alert.get('output', ''))}")


def _print_trees(session: Record) -> None:
    trees = session.get("tree") or []
    _head("What was done")
    if not trees:
        emit(styled("  nothing that was seen", "dim"))
    for node in trees:
        _print_node(node, 0)
        if node.get("over"):
            when = short_time(str(node["over"]), digits=3)[11:]
            emit(styled(f"  {when}  the last of these processes ended", "dim"))
    if session.get("cut"):
        emit(styled("  (only the first events are shown: `keelwatch events` has all of them)", "dim"))


def _print_node(root: Record, depth: int) -> None:
    """A tree can be deeper than Python's stack: nodes wait in a list instead."""
    waiting = [(root, depth)]
    while waiting:
        node, at = waiting.pop()
        _print_process(node, "  " * at)
        waiting += [(child, at + 1) for child in reversed(node.get("children") or [])]


def _print_process(node: Record, indent: str) -> None:
    images = node.get("images") or []
    first = images[0] if images else node
    branch = "└─ " if indent else ""
    line = safe(first.get("cmdline") or node.get("name") or "(not seen)")
    when = styled(short_time(str(first.get("time") or node.get("time", "")), digits=3)[11:], "dim")
    emit(f"  {when}  {indent}{branch}{styled(line, 'bold')} {styled(_pid(node), 'dim')}")
    rest = [(str(one["time"]), f"then ran {safe(one.get('cmdline', ''))}") for one in images[1:]]
    doings = [(str(one["time"]), _doing(one)) for one in node.get("doings") or []]
    for time, text in sorted([*rest, *doings]):
        when = styled(short_time(time, digits=3)[11:], "dim")
        emit(f"  {when}  {indent}{'   ' if indent else ''}  {text}")
    if node.get("more"):
        emit(f"  {'':12}  {indent}  … {node['more']} more")


def _doing(doing: Record) -> str:
    path = safe(doing.get("path", ""))
    if doing.get("old_path"):
        path = f"{safe(doing['old_path'])} → {path}"
    whose = _whose(doing)
    result = doing.get("result", 0)
    failed = styled(f" failed ({result})", "yellow") if isinstance(result, int) and result < 0 else ""
    drift = styled(f" ({safe(doing['drift'])})", "dim") if doing.get("drift") else ""
    return f"{styled(safe(doing.get('kind', '')), 'cyan')} {path}{drift}{whose}{failed}"


def _whose(doing: Record) -> str:
    if not doing.get("file_container"):
        return ""
    return styled(f" in container {safe(doing['file_container'])}", "yellow")


def _pid(one: dict[str, Any]) -> str:
    return f"[{safe(one.get('pid', '?'))}]"


def _head(title: str) -> None:
    emit("")
    emit(styled(title, "bold"))
