"""The centre's half: all its parts, wired and started in order, and its main."""
