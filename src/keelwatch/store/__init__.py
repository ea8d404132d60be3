"""The column store: one schema and one dialect, embedded or on a server."""
