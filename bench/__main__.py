"""python -m bench [NAME...] [--quick]: run all benchmarks, or those named."""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
from pathlib import Path

from bench.report import Figure, save, show
from bench.settings import FULL, QUICK
from lab import missing_for_containers

BENCHMARKS = {
    "alert-delay": "bench.alert_delay",
    "alert-backlog": "bench.alert_backlog",
    "exec-flood": "bench.exec_flood",
    "opens": "bench.opens",
    "redis": "bench.redis",
    "log-path": "bench.log_path",
    "idle": "bench.idle",
    "many-agents": "bench.many_agents",
    "many-pods": "bench.many_pods",
    "coverage": "bench.coverage",
}
OUT = Path(__file__).parent / "out"


def main() -> int:
    """Return 1 when something that has to hold (nothing lost) did not."""
    options = _options()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    if missing := missing_for_containers():
        print(f"bench: {missing}", file=sys.stderr)
        return 1
    settings = QUICK if options.quick else FULL
    failed = False
    for name in options.names or BENCHMARKS:
        logging.info("%s", name)
        figures: list[Figure] = importlib.import_module(BENCHMARKS[name]).run(settings)
        show(name, figures)
        save(OUT, name, figures, quick=options.quick)
        failed |= any(figure.must_be is not None and figure.value != figure.must_be for figure in figures)
    return int(failed)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--quick", action="store_true", help="small sizes: does it work, not how fast is it")
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in BENCHMARKS]:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    return options


if __name__ == "__main__":
    sys.exit(main())
