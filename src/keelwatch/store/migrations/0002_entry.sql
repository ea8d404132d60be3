-- By which process a tree of processes entered its container: the entrypoint, or what an exec started.

ALTER TABLE events{on_cluster}
    ADD COLUMN IF NOT EXISTS entry_pid UInt32 AFTER cwd,
    ADD COLUMN IF NOT EXISTS entry_start UInt64 AFTER entry_pid;

ALTER TABLE alerts{on_cluster}
    ADD COLUMN IF NOT EXISTS entry_pid UInt32 AFTER cwd,
    ADD COLUMN IF NOT EXISTS entry_start UInt64 AFTER entry_pid;
