"""The store's size, and the gaps of the last day."""

from __future__ import annotations

from keelwatch.query.records import Query

SIZES = Query(
    "SELECT table, sum(rows) AS rows, sum(bytes_on_disk) AS bytes, count() AS parts FROM system.parts "
    "WHERE active AND database = currentDatabase() GROUP BY table ORDER BY table",
    {},
)

RECENT_GAPS = Query(
    "SELECT cause, what, unit, sum(amount) AS amount, count() AS gaps, "
    "toUInt64(sum(greatest(0, dateDiff('second', from_time, to_time)))) AS seconds FROM gaps "
    "WHERE time > now64(9, 'UTC') - toIntervalDay(1) GROUP BY cause, what, unit ORDER BY cause, what",
    {},
)
