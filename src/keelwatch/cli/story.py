"""One alert for a reader: the sentence, the steps, the process tree, the file, the identity."""

from __future__ import annotations

from typing import Any

from keelwatch.cli.output import PRIORITY_STYLES, Record, emit, safe, styled
from keelwatch.kit.text import acting, by_whom, short_time

_IDENTITY = (
    "cluster", "node", "namespace", "workload_kind", "workload", "revision", "team", "pod", "pod_uid",
    "container", "container_id", "restart", "image", "image_digest", "identity_source",
)  # fmt: skip
_FILE = ("path", "path_source", "old_path", "size", "mode", "inode", "sha256", "drift")
_NO_FILE = "nobody: it was kept in memory only"
_FLAGS = {
    "upper": "in the overlay's upper layer",
    "memfd": "in memory only (memfd)",
    "created": "made by this call",
    "truncated": "path cut off",
}


def print_alert(alert: Record) -> None:
    """Print everything an alert tells."""
    priority = str(alert.get("priority", ""))
    level = styled(safe(priority.upper()), PRIORITY_STYLES.get(priority.lower(), ""))
    emit(f"{level}  {styled(safe(alert.get('rule', '')), 'bold')}")
    emit(f"{short_time(str(alert.get('time', '')), digits=3)} UTC  {safe(alert.get('id', ''))}")
    emit(safe(alert.get("output", "")))
    if alert.get("tags"):
        emit(styled(safe(" ".join(map(str, alert["tags"]))), "dim"))
    _print_access(alert)
    _print_story(alert.get("story") or {}, in_memory=bool(alert.get("memfd")))
    _print_tree(alert)
    _print_facts("File", {name: alert.get(name) for name in _FILE} | _flags(alert))
    _print_facts("Whose file", {k: v for k, v in alert.items() if k.startswith("file_")})
    _print_facts("Where", {name: alert.get(name) for name in _IDENTITY})


def _print_access(alert: Record) -> None:
    """Whose doing it was, with what the API server's audit says of the sessions that it belongs to."""
    if user := by_whom(alert):
        _head(f"By {safe(user)}")
    for session in alert.get("access") or []:
        where = ", ".join(session.get("source_ips") or ())
        what = f"{session.get('kind', '')} {session.get('command', '')}".strip()
        emit(f"  {safe(acting(session))} from {safe(where)}: {safe(what)}")
        reason = f": {session['reason']}" if session.get("reason") else ""
        emit(styled(f"  {safe(session.get('confidence', ''))}{safe(reason)}", "dim"))
        emit(styled(f"  keelwatch access {safe(session.get('id', ''))}", "dim"))


def _print_story(story: Record, *, in_memory: bool) -> None:
    """A file may be executable from its making on: where no chmod was seen, none need have been."""
    if not story:
        return
    _head("Story")
    if story.get("sentence"):
        emit(f"  {safe(story['sentence'])}")
    for name, step in (("wrote", "writer"), ("made executable", "chmod"), ("ran", "executor")):
        done = story.get(step)
        if isinstance(done, dict):
            emit(f"  {name + ':':<17}{_step(done)}")
        elif step == "writer":
            emit(f"  {name + ':':<17}{styled(_NO_FILE if in_memory else 'not known', 'dim')}")


def _step(step: Record) -> str:
    when = step.get("time")
    stamp = f"{short_time(when, digits=3)}  " if isinstance(when, str) else ""
    return f"{stamp}{safe(step.get('cmdline') or step.get('name', '?'))} {_pid(step)}"


def _pid(process: Record) -> str:
    return styled(f"[{safe(process.get('pid', '?'))}]", "dim")


def _print_tree(alert: Record) -> None:
    process = alert.get("process")
    if not isinstance(process, dict):
        return
    _head("Processes")
    chain = [*reversed(alert.get("ancestors") or []), process]
    for depth, one in enumerate(chain):
        branch = "  " * depth + ("└─ " if depth else "")
        line = safe(one.get("cmdline") or one.get("name", "?"))
        text = styled(line, "bold") if one is process else line
        emit(f"  {branch}{text} {_pid(one)} {styled(safe(one.get('exe', '')), 'dim')}".rstrip())


def _flags(alert: Record) -> dict[str, Any]:
    return {"": "; ".join(text for name, text in _FLAGS.items() if alert.get(name))}


def _print_facts(title: str, facts: dict[str, Any]) -> None:
    known = {name: value for name, value in facts.items() if value not in (None, "", 0)}
    if not known:
        return
    _head(title)
    for name, value in known.items():
        shown = oct(value) if name == "mode" and isinstance(value, int) else value
        emit(f"  {styled(f'{name:<16}', 'dim')} {safe(shown)}")


def _head(title: str) -> None:
    emit("")
    emit(styled(title, "bold"))
