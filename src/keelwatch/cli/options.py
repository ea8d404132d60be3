"""Options that several commands share, named as kubectl names them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from keelwatch.cli.client import HubClient
from keelwatch.cli.config import resolve

Command = Callable[..., Any]

PRIORITIES = ("emergency", "alert", "critical", "error", "warning", "notice", "informational", "debug")


class HelpfulCommand(click.Command):
    """A command whose help ends with examples, printed as they are written."""

    def __init__(self, *args: Any, examples: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples without re-wrapping them."""
        del ctx
        write_examples(self.examples, formatter)


def write_examples(examples: str, formatter: click.HelpFormatter) -> None:
    """Write a section of examples, one a line."""
    if examples:
        with formatter.section("Examples"):
            for line in examples.strip().splitlines():
                formatter.write(" " * formatter.current_indent + line.strip() + "\n")


def _chain(*decorators: Callable[[Command], Command]) -> Callable[[Command], Command]:
    def apply(function: Command) -> Command:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return apply


hub_options = _chain(
    click.option("--hub", metavar="URL", help="The hub's address. [env: KEELWATCH_HUB]"),
    click.option(
        "--token", metavar="TEXT", help="The token; a file is safer, ps(1) shows this. [env: KEELWATCH_TOKEN]"
    ),
    click.option("--token-file", metavar="FILE", help="Read the token from a file."),
    click.option("--ca-file", metavar="FILE", help="Trust this authority for the hub's certificate."),
)


def with_client(function: Command) -> Command:
    """Add the hub options; the function gets a `client` as its first argument."""

    @hub_options
    @functools.wraps(function)
    def wrapped(
        *args: Any,
        hub: str | None,
        token: str | None,
        token_file: str | None,
        ca_file: str | None,
        **kwargs: Any,
    ) -> Any:
        with HubClient(resolve(hub, token, token_file, ca_file)) as client:
            return function(client, *args, **kwargs)

    return wrapped


_FILTERS: tuple[tuple[tuple[str, ...], str, str, str], ...] = (
    (("-n", "--namespace"), "namespace", "NAME", "Only this namespace (all by default)."),
    (("-l", "--selector"), "selector", "QUERY", "Label selector: =, ==, !=, in, notin, exists."),
    (("-c", "--container"), "container", "NAME", "Only containers of this name."),
    (("--pod",), "pod", "NAME", "Only this pod, running or gone."),
    (("--container-id",), "container_id", "ID", "Only this container."),
    (("--team",), "team", "NAME", "Only this team's workloads."),
    (("--node",), "node", "NAME", "Only this node."),
    (("--cluster",), "cluster", "NAME", "Only this cluster."),
    (("--since",), "since", "TIME", "Newer than a duration (10m, 2h, 3d) or an RFC 3339 time."),
    (("--until",), "until", "TIME", "Older than that."),
)


def with_filters(function: Command) -> Command:
    """Add WORKLOAD and the filters all records share, collected in `filters` as the API names them."""

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        filters = {name: kwargs.pop(name) for _, name, _, _ in _FILTERS}
        filters |= _target(kwargs.pop("workload"))
        kwargs["filters"] = {name: value for name, value in filters.items() if value}
        return function(*args, **kwargs)

    command: Command = wrapped
    for flags, name, metavar, text in reversed(_FILTERS):
        command = click.option(*flags, name, metavar=metavar, help=text)(command)
    return click.argument("workload", required=False, metavar="[WORKLOAD]")(command)


def _target(workload: str | None) -> dict[str, str]:
    """`deploy/checkout` and `checkout` are workloads; `pod/NAME` is that one pod, as with kubectl."""
    if not workload:
        return {}
    kind, slash, name = workload.partition("/")
    if slash and kind.lower() in ("po", "pod", "pods"):
        return {"pod": name}
    return {"workload": workload}


def with_stream(function: Command) -> Command:
    """Add --tail and -f, put into `filters`."""

    @click.option("--tail", type=click.IntRange(0, 100_000), metavar="N",
                  help="The last N records rather than 1000; with 0 and -f only new ones.")  # fmt: skip
    @click.option("-f", "--follow", is_flag=True, help="Keep printing new records until Ctrl-C.")
    @functools.wraps(function)
    def wrapped(*args: Any, tail: int | None, follow: bool, **kwargs: Any) -> Any:
        filters = kwargs["filters"]
        if tail is not None:
            filters["tail"] = str(tail)
        if follow:
            filters["follow"] = "true"
        return function(*args, **kwargs)

    return with_filters(wrapped)


def with_setup(function: Command) -> Command:
    """Add --setup; without it only what happened after a container's entrypoint was started."""

    @click.option("--setup", is_flag=True, help="Show what the runtime did to set containers up, too.")
    @functools.wraps(function)
    def wrapped(*args: Any, setup: bool, **kwargs: Any) -> Any:
        if not setup:
            kwargs["filters"]["phase"] = "run"
        return function(*args, **kwargs)

    return wrapped


def with_grep(function: Command) -> Command:
    """Add --grep and --regex, put into `filters`."""

    @click.option("--grep", metavar="TEXT", help="Only records that contain this text (case counts).")
    @click.option("--regex", metavar="RE2", help="Only records that match this RE2 expression.")
    @functools.wraps(function)
    def wrapped(*args: Any, grep: str | None, regex: str | None, **kwargs: Any) -> Any:
        kwargs["filters"] |= {k: v for k, v in (("grep", grep), ("regex", regex)) if v}
        return function(*args, **kwargs)

    return wrapped


def output_option(*formats: str) -> Callable[[Command], Command]:
    """Add -o with these formats; the first is the default."""
    return click.option(
        "-o", "--output", type=click.Choice(formats), default=formats[0], show_default=True, help="Format."
    )
