"""The way from the node to the hub: rows become frozen batches in a durable spool, and are sent from it."""
