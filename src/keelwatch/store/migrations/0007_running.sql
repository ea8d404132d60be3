-- Of each access session, how many of its trees of processes still run as far as was seen.

ALTER TABLE access{on_cluster}
    ADD COLUMN IF NOT EXISTS running UInt32 AFTER last_event;
