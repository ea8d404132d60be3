"""What the kernel lets this process have."""

from __future__ import annotations

import resource


def raise_open_files() -> int:
    """Raise the limit of open files as far as is allowed; return it.

    Shells and systemd give 1024 by default; an agent holds a file and more for every container's log.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
