"""The demo: a real workload, a real attack, and what keelwatch saw of it, told in the terminal.

python -m lab.demo           runs until Ctrl-C
python -m lab.demo --once    ends after the story; status 0 only if all that should be seen was seen
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from lab import Containerd, Deployment, Kubelet, Pod, missing_for_containers
from lab.attack import Outcome, Step
from lab.attack import run as attack
from lab.stack import Record, Stack

NAMESPACE, WORKLOAD = "shop", "checkout"
WORKING_SECONDS = 3.0
SEEN_SECONDS = 30.0

console = Console(highlight=False, soft_wrap=True)


@dataclass
class Expectation:
    """What has to be seen of one step of the attack."""

    step: Step
    meets: Callable[[Record], bool]
    found: list[Record] = field(default_factory=list)


def main() -> int:
    """Run the demo; return the exit status."""
    options = _options()
    if missing := missing_for_containers():
        console.print(f"[red]demo:[/] {escape(missing)}")
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with Containerd(None) as containerd, _started() as stack:
            complete = _tell(containerd, stack)
            if not options.once:
                _wait(stack)
    except KeyboardInterrupt:
        console.print("\ncleaned up")
        return 0
    return 0 if complete else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m lab.demo", description=__doc__.partition("\n")[0])
    parser.add_argument("--once", action="store_true", help="end after the story")
    return parser.parse_args()


def _started() -> Stack:
    stack = Stack()
    _step("starting hub and agent")
    return stack


def _tell(containerd: Containerd, stack: Stack) -> bool:
    """The story in order; return whether everything was seen."""
    kubelet = Kubelet(containerd.socket, containerd.logs)
    _step(f"running {NAMESPACE}/{WORKLOAD}: two instances over CRI")
    pods = kubelet.run_deployment(Deployment(NAMESPACE, WORKLOAD, replicas=2))
    time.sleep(WORKING_SECONDS)
    _step(f"attacking {pods[0].name}")
    outcomes = attack(pods[0])
    for outcome in outcomes:
        console.print(
            f"    {'[green]done[/]' if outcome.ok else '[red]FAILED[/]'}  {escape(outcome.step.title)}"
        )
    _step(f"deleting {pods[0].name}: its files, its log and its processes are gone")
    pods[0].delete()
    expected = _await_alerts(stack, pods[0], outcomes)
    _show_alerts(expected)
    logs_complete = _show_logs(stack, pods)
    _show_rest(stack)
    seen = all(expectation.found for expectation in expected) and all(outcome.ok for outcome in outcomes)
    console.print()
    console.print(
        "[green]everything was seen[/]" if seen and logs_complete else "[red]not everything was seen[/]"
    )
    if not (seen and logs_complete):
        console.print(escape(stack.log.read_text(errors="replace")[-5000:]))
    return seen and logs_complete


def _expectations(pod: Pod, outcomes: list[Outcome]) -> list[Expectation]:
    container = pod.container.id

    def about(step: Step) -> Callable[[Record], bool]:
        def meets(alert: Record) -> bool:
            if alert["container_id"] != container:
                return False
            if step.name in ("namespace", "unshare"):
                return bool(alert["kind"] == {"namespace": "setns"}.get(step.name, step.name))
            named = {alert["path"], (alert["story"] or {}).get("path", "")}
            return step.path in named

        return meets

    return [Expectation(outcome.step, about(outcome.step)) for outcome in outcomes]


def _await_alerts(stack: Stack, pod: Pod, outcomes: list[Outcome]) -> list[Expectation]:
    expected = _expectations(pod, outcomes)

    def all_seen() -> bool:
        alerts = stack.records("alerts", namespace=NAMESPACE)
        for expectation in expected:
            expectation.found = [alert for alert in alerts if expectation.meets(alert)]
        return all(expectation.found for expectation in expected)

    end = time.monotonic() + SEEN_SECONDS
    while not all_seen() and time.monotonic() < end:
        time.sleep(0.2)
    return expected


def _show_alerts(expected: list[Expectation]) -> None:
    console.print()
    console.rule("what keelwatch saw")
    shown: set[str] = set()
    for expectation in expected:
        if not expectation.found:
            console.print(f"[red]not seen:[/] {escape(expectation.step.title)}")
        for alert in expectation.found:
            if alert["id"] not in shown:
                shown.add(alert["id"])
                console.print(_alert_panel(alert))


def _alert_panel(alert: Record) -> Panel:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _alert_facts(alert):
        if value:
            table.add_row(name, escape(str(value)))
    colour = {"CRITICAL": "red", "ERROR": "red", "WARNING": "yellow"}.get(alert["priority"], "blue")
    title = f"[{colour}]{alert['priority']}[/] {escape(alert['rule'])}"
    return Panel(table, title=title, title_align="left", border_style="dim")


def _alert_facts(alert: Record) -> list[tuple[str, Any]]:
    story = alert["story"] or {}
    writer = story.get("writer")
    chain = [alert["process"], *alert["ancestors"]]
    return [
        ("time", alert["time"]),
        ("workload", f"{alert['namespace']}/{alert['workload_kind']}/{alert['workload']}"),
        ("pod", f"{alert['pod']}  container {alert['container']}  {alert['container_id'][:12]}"),
        ("image", alert["image"]),
        ("node", alert["node"]),
        ("file", f"{alert['path']} ({alert['path_source']})" if alert["path"] else ""),
        ("sha256", alert["sha256"]),
        ("process", " ← ".join(f"{p['name']}[{p['pid']}]" for p in chain)),
        ("command", alert["process"]["cmdline"]),
        ("written by", f"{writer['cmdline']} [{writer['pid']}]" if writer else ""),
        ("story", story.get("sentence", "")),
    ]


def _show_logs(stack: Stack, pods: list[Pod]) -> bool:
    """Both instances in one stream; the deleted one's lines are there. Return whether they are."""
    found = stack.records("logs", namespace=NAMESPACE, workload=f"deployment/{WORKLOAD}", tail=100000)
    logs = [line for line in found if line["pod"] in {pod.name for pod in pods}]  # others may have this name
    console.rule(f"logs of {NAMESPACE}/deployment/{WORKLOAD}, both instances, the deleted one included")
    for line in logs[:12]:
        colour = "cyan" if line["pod"] == pods[0].name else "magenta"
        console.print(f"[dim]{line['time'][11:23]}[/] [{colour}]{line['pod']}[/] {escape(line['message'])}")
    counts = {pod.name: sum(line["pod"] == pod.name for line in logs) for pod in pods}
    console.print(f"[dim]… {len(logs)} lines: {', '.join(f'{n} of {name}' for name, n in counts.items())}[/]")
    return all(counts.values())


def _show_rest(stack: Stack) -> None:
    gaps = stack.records("gaps")
    console.rule("was anything unmonitored?")
    if not gaps:
        console.print("no gaps")
    for gap in gaps:
        console.print(
            f"{gap['from_time']} to {gap['to_time']}  {gap['what']}: {gap['cause']}, {gap['amount']}"
        )


def _wait(stack: Stack) -> None:
    console.print(f"\n  Console   [bold]{stack.address}[/]\n  Log in    {stack.token}")
    console.print(f"  Commands  keelwatch --help, with --hub {stack.address} --token {stack.token}")
    console.print("  Stop      Ctrl-C\n")
    while stack.running:
        time.sleep(1)
    console.print(escape(stack.log.read_text(errors="replace")[-2000:]))


def _step(text: str) -> None:
    console.print(f"[bold]▸[/] {escape(text)}")


if __name__ == "__main__":
    sys.exit(main())
