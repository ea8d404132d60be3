"""A migration that was released is never edited, nor is what it is made of: stores have run it.

To change a table, add a migration with the next number. Columns in store/schema.py are part of each
migration that names them, so a new version of them needs a new name there.
"""

from __future__ import annotations

from pathlib import Path

from keelwatch.store.engines import EMBEDDED, Engines
from keelwatch.store.migrate import migrations
from keelwatch.store.schema import expand, statements

GOLDEN = Path(__file__).parents[2] / "golden" / "store"


def test_the_first_migration_is_what_it_was() -> None:
    for name, engines in (("embedded", EMBEDDED), ("cluster", Engines("prod"))):
        expanded = ";\n\n".join(statements(expand(migrations()[0].text, engines))) + ";\n"
        wanted = (GOLDEN / f"0001_{name}.sql").read_text(encoding="utf-8")
        assert expanded == wanted, "stores have run it as it was: add a migration instead"
