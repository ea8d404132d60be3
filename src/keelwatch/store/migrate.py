"""Numbered migrations: bring a store to this program's schema, or refuse one that is newer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.resources import files

from keelwatch.store.database import Database, SchemaError
from keelwatch.store.engines import Engines
from keelwatch.store.escape import literal
from keelwatch.store.schema import expand, statements

_NAME = re.compile(r"^(\d{4})_([a-z_]+)\.sql$")


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file."""

    number: int
    name: str
    text: str


def migrations() -> list[Migration]:
    """All migrations of this program, in order."""
    found = []
    for entry in files("keelwatch.store").joinpath("migrations").iterdir():
        match = _NAME.match(entry.name)
        if match:
            found.append(Migration(int(match[1]), match[2], entry.read_text(encoding="utf-8")))
    return sorted(found, key=lambda migration: migration.number)


def migrate(database: Database, engines: Engines) -> int:
    """Apply what is missing; return the schema's number. Raise SchemaError if the store is newer."""
    _make_table(database, engines)
    applied = {int(row["number"]) for row in database.query("SELECT number FROM schema_migrations")}
    known = migrations()
    newest = known[-1].number
    if applied and max(applied) > newest:
        raise SchemaError(
            f"the store has schema {max(applied)}, this program knows {newest}: "
            "start a newer keelwatch, or restore a backup made by this version"
        )
    for migration in known:
        if migration.number not in applied:
            _apply(database, engines, migration)
    return newest


def _make_table(database: Database, engines: Engines) -> None:
    database.execute(
        f"CREATE TABLE IF NOT EXISTS schema_migrations{engines.on_cluster} "
        "(number UInt32, name String, applied DateTime DEFAULT now()) "
        f"ENGINE = {engines.engine('schema_migrations')} ORDER BY number SETTINGS {engines.settings}"
    )


def _apply(database: Database, engines: Engines, migration: Migration) -> None:
    # A crash in the middle leaves some of the tables, so a migration must bear being run again.
    for statement in statements(expand(migration.text, engines)):
        database.execute(statement.replace("CREATE TABLE ", "CREATE TABLE IF NOT EXISTS ", 1))
    database.execute(
        f"INSERT INTO schema_migrations (number, name) VALUES ({migration.number}, {literal(migration.name)})"
    )
