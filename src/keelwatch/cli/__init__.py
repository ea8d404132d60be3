"""The `keelwatch` command: `commands/` has a file for each subcommand. It reaches the hub over HTTP only."""
