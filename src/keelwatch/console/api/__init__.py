"""The HTTP API: questions come in by address, JSON and NDJSON go out (docs/reference/api.md)."""
