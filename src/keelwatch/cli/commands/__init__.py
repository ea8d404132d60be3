"""One file for each subcommand of `keelwatch`, with its name; what several of them need stands in cli/."""
