"""The frozen vocabulary every other room speaks: identity, process, event, alert, gap, batch.

Nothing here opens a file, a socket or a database, and nothing here imports another room.
"""
