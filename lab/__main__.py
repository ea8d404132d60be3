"""python -m lab: real containers by hand.

python -m lab up [--directory DIR] [--replicas N] [--attack]   run shop/checkout until Ctrl-C
python -m lab down [DIR]                                       sweep away what is left of it
python -m lab image pause|workload [--name NAME] FILE          write an image as an OCI archive
python -m lab remove-pods SOCKET                               kill and remove every pod of a runtime
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from keelwatch.enrich.runtime.cri import CriError
from lab import Containerd, Deployment, Kubelet, Pod, attack, missing_for_containers, sweep
from lab.cri_runtime import remove_pods
from lab.images import PAUSE_IMAGE, WORKLOAD_IMAGE, pause_image, workload_image, write_archive


def main() -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m lab", description="Real containers by hand.")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="run shop/checkout until Ctrl-C")
    up.add_argument("--directory", type=Path, help="where containerd lives (default: a new one)")
    up.add_argument("--replicas", type=int, default=2)
    up.add_argument("--attack", action="store_true", help="attack the first pod")
    down = commands.add_parser("down", help="sweep away what a killed lab left")
    down.add_argument("directory", type=Path, nargs="?", help="default: every lab whose owner is dead")
    image = commands.add_parser("image", help="write an image as an OCI archive")
    image.add_argument("which", choices=["pause", "workload"])
    image.add_argument("--name", help=f"default: {PAUSE_IMAGE} or {WORKLOAD_IMAGE}")
    image.add_argument("file", type=Path)
    remove = commands.add_parser("remove-pods", help="kill and remove every pod of a runtime")
    remove.add_argument("socket", type=Path, help="its CRI socket")
    options = parser.parse_args()
    if options.command == "image":
        return _image(options.which, options.name, options.file)
    if options.command == "remove-pods":
        return _remove_pods(options.socket)
    if missing := missing_for_containers():
        print(f"lab: {missing}", file=sys.stderr)
        return 1
    if options.command == "down":
        return _down(options.directory)
    return _up(options.directory, options.replicas, options.attack)


def _image(which: str, name: str | None, file: Path) -> int:
    made = pause_image() if which == "pause" else workload_image(name or WORKLOAD_IMAGE)
    made.name = name or made.name
    print(f"{made.name} {write_archive(made, file)}")
    return 0


def _remove_pods(socket: Path) -> int:
    try:
        remove_pods(socket)
    except CriError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    return 0


def _up(directory: Path | None, replicas: int, attacked: bool) -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with Containerd(directory) as containerd:
        kubelet = Kubelet(containerd.socket, containerd.logs)
        print(f"containerd  {containerd.socket}\nlogs        {containerd.logs}", flush=True)
        pods = kubelet.run_deployment(Deployment("shop", "checkout", replicas))
        for pod in pods:
            print(f"pod         {pod.namespace}/{pod.name}  {pod.container.id}", flush=True)
        if attacked:
            _attack(pods[0])
        try:
            signal.pause()
        except KeyboardInterrupt:
            print(file=sys.stderr)
    return 0


def _attack(pod: Pod) -> None:
    for outcome in attack.run(pod):
        print(f"{'done' if outcome.ok else 'FAILED':6} {outcome.step.title}: {outcome.output}", flush=True)


def _down(directory: Path | None) -> int:
    if directory is not None and not (directory / sweep.OWNER).exists():
        print(f"lab: {directory} is not a lab's directory", file=sys.stderr)
        return 1
    if directory is not None:
        sweep.sweep(directory)
    for swept in [directory] if directory else sweep.sweep_abandoned():
        print(f"swept {swept}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
