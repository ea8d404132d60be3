"""The store's size, the gaps of the last day, and which agents refuse changed rules."""

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

RULES_REFUSED = Query(
    # An agent that starts anew with good rules says nothing of them; a node that is gone says nothing at all.
    "SELECT node, argMax(kind, (time, seq, row)) AS last, argMax(detail, (time, seq, row)) AS detail "
    "FROM lifecycle WHERE node != '' AND kind IN ('rules_refused', 'rules_loaded', 'agent_started', "
    "'agent_stopped', 'node_removed') GROUP BY cluster, node HAVING last = 'rules_refused' "
    "ORDER BY cluster, node LIMIT 10000",
    {},
)
