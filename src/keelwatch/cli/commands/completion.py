"""`keelwatch completion`: the script a shell sources to complete commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from keelwatch.cli.options import HelpfulCommand
from keelwatch.cli.output import emit

_EXAMPLES = """
source <(keelwatch completion bash)
keelwatch completion zsh > "${fpath[1]}/_keelwatch"
keelwatch completion fish > ~/.config/fish/completions/keelwatch.fish
"""


@click.command(cls=HelpfulCommand, examples=_EXAMPLES)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script for SHELL."""
    found = get_completion_class(shell)
    if found is None:  # pragma: no cover - click knows all three
        raise click.UsageError(f"no completion for {shell}")
    emit(found(ctx.find_root().command, {}, "keelwatch", "_KEELWATCH_COMPLETE").source())
