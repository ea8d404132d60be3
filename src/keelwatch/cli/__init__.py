"""The `keelwatch` command: one file per subcommand. It reaches the hub over HTTP only."""
