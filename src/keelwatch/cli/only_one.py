"""Before `keelwatch up` starts anything: its data folder and its address must be nobody else's."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from keelwatch.cli.errors import NOT_FOUND, USAGE, CliError


@contextmanager
def only_one(data: Path) -> Iterator[None]:
    """Hold the data folder; raise CliError while another `up` has it.

    The kernel lets go of the lock however the holder ends, so a file that was left is no obstacle.
    """
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(data / "up.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise CliError(f"--data {data}: {error.strerror}", USAGE) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        message = f"another `keelwatch up` uses {data}; choose another folder with --data"
        raise CliError(message, NOT_FOUND) from error
    try:
        yield
    finally:
        os.close(lock)


def check_free(listen: str, host: str, port: int) -> None:
    """Raise CliError when nobody could listen there now. A child that fails later says so itself."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as uvicorn does
            tried.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            message = f"{listen} is in use (another hub?); choose another with --listen"
            raise CliError(message, NOT_FOUND) from error
        raise CliError(f"--listen {listen}: {error.strerror or error}", USAGE) from error
