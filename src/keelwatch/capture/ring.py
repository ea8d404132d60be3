"""The kernel's two ring buffers: loads the sensor, and hands out its records as bytes.

In: nothing but the kernel. Out: `[u32 size][record]` one behind the other, which decode/sensor.py
understands. The C library owns libbpf; its calls run without the interpreter's lock.
"""

from __future__ import annotations

import ctypes
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from keelwatch.model.observation import KINDS

NATIVE = Path(__file__).resolve().parent.parent / "_native"
OBJECT = NATIVE / "keelwatch-sensor.bpf.o"
LIBRARY = NATIVE / "libkeelwatch_sensor.so"

ATTACH: tuple[str, ...] = ("auto", "sys_exit", "fexit")
"""How handlers hang in the kernel; the position is `enum kw_attach` of sensor/loader/loader.h."""
CAUSES: tuple[str, ...] = ("ring_full", "map_full", "truncated", "read_failed", "recursion")
"""Why something was lost; the position is `enum kw_loss` of sensor/events.h."""
ANY = "any"
"""The kind of a loss that happened before the kind was known."""

MAX_NAMES = 16
NAME_SIZE = 24
ERROR_SIZE = 8192


class SensorError(RuntimeError):
    """The sensor cannot be loaded or read; the text says why and how to mend it."""


@dataclass(frozen=True, slots=True)
class SensorConfig:
    """What the kernel side is told before it is loaded. Ring sizes are bytes, powers of two."""

    kinds: frozenset[str] = frozenset(KINDS)
    host: bool = False
    attach: str = "auto"
    process_ring: int = 4 << 20
    file_ring: int = 8 << 20
    processes: int = 65536
    pace_ms: int = 20
    environment: tuple[str, ...] = (
        "LD_PRELOAD",
        "LD_LIBRARY_PATH",
        "LD_AUDIT",
        "PATH",
        "PYTHONPATH",
        "BASH_ENV",
        "SSH_CONNECTION",
    )
    buffer: int = 1 << 20
    object: Path = field(default=OBJECT)

    def mistakes(self) -> list[str]:
        """Return what is wrong with the values, in words; empty when they can be used."""
        found = [f"unknown event kind {kind!r}" for kind in sorted(self.kinds - set(KINDS))]
        if self.attach not in ATTACH:
            found.append(f"attach must be one of {', '.join(ATTACH)}, not {self.attach!r}")
        for name in ("process_ring", "file_ring"):
            size = getattr(self, name)
            if size < 65536 or size & (size - 1):
                found.append(f"{name} must be a power of two of at least 65536, not {size}")
        if len(self.environment) > MAX_NAMES:
            found.append(f"at most {MAX_NAMES} environment names, not {len(self.environment)}")
        found += [
            f"environment name {name!r} is longer than {NAME_SIZE - 2} bytes or empty"
            for name in self.environment
            if not 0 < len(name.encode()) <= NAME_SIZE - 2
        ]
        return found


class _Config(ctypes.Structure):
    """`struct kw_config` of sensor/loader/loader.h."""

    _fields_ = (
        ("object", ctypes.c_char_p),
        ("kinds", ctypes.c_uint32),
        ("host", ctypes.c_uint32),
        ("process_ring", ctypes.c_uint32),
        ("file_ring", ctypes.c_uint32),
        ("processes", ctypes.c_uint32),
        ("attach", ctypes.c_uint32),
        ("pace_ms", ctypes.c_uint32),
        ("environment", ctypes.c_uint32),
        ("names", (ctypes.c_char * NAME_SIZE) * MAX_NAMES),
    )


def _pack(config: SensorConfig) -> _Config:
    packed = _Config(
        object=os.fsencode(config.object),
        kinds=sum(1 << (KINDS.index(kind) + 1) for kind in config.kinds),
        host=int(config.host),
        process_ring=config.process_ring,
        file_ring=config.file_ring,
        processes=config.processes,
        attach=ATTACH.index(config.attach),
        pace_ms=config.pace_ms,
        environment=len(config.environment),
    )
    for index, name in enumerate(config.environment):
        packed.names[index].value = name.encode()
    return packed


def _library() -> Any:
    """The loader; raise SensorError when it, or libbpf, is not there."""
    if not LIBRARY.exists():
        raise SensorError(f"{LIBRARY} is not built: run `make -C sensor`")
    try:
        library = ctypes.CDLL(str(LIBRARY))
    except OSError as error:
        raise SensorError(f"cannot load {LIBRARY.name}: {error} (Debian: apt-get install libbpf1)") from error
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    library.kw_open.argtypes = [ctypes.POINTER(_Config), ctypes.c_char_p, size]
    library.kw_open.restype = pointer
    library.kw_start_probes.argtypes = [pointer, ctypes.c_char_p, size]
    library.kw_attached.argtypes = [pointer]
    library.kw_attached.restype = ctypes.c_uint32
    library.kw_drain.argtypes = [pointer, pointer, size, ctypes.c_int]
    library.kw_drain.restype = ctypes.c_ssize_t
    library.kw_counters.argtypes = [pointer, pointer, size]
    library.kw_close.argtypes = [pointer]
    library.kw_close.restype = None
    return library


class Sensor:
    """The loaded sensor. One thread drains; `losses` may be called from another."""

    def __init__(self, library: Any, handle: int, config: SensorConfig) -> None:
        self._library = library
        self._handle: int | None = handle
        self._buffer = bytearray(max(config.buffer, 256 << 10))
        self._address = (ctypes.c_char * len(self._buffer)).from_buffer(self._buffer)
        self._view = memoryview(self._buffer)

    @classmethod
    def open(cls, config: SensorConfig | None = None) -> Sensor:
        """Load, verify and attach the programs; raise SensorError saying what is in the way."""
        config = config or SensorConfig()
        mistakes = config.mistakes()
        if mistakes:
            raise SensorError("; ".join(mistakes))
        library = _library()
        error = ctypes.create_string_buffer(ERROR_SIZE)
        handle = library.kw_open(ctypes.byref(_pack(config)), error, ERROR_SIZE)
        if not handle:
            raise SensorError(_explain(error.value))
        if library.kw_start_probes(handle, error, ERROR_SIZE):
            library.kw_close(handle)
            raise SensorError(_explain(error.value))
        return cls(library, handle, config)

    @property
    def attached(self) -> str:
        """How the handlers hang: "sys_exit" or "fexit"."""
        return ATTACH[int(self._library.kw_attached(self._open_handle()))]

    def drain(self, timeout_ms: int) -> memoryview:
        """Return the records that are there, waiting at most `timeout_ms` for the first one.

        The bytes are valid until the next call.
        """
        got = self._library.kw_drain(
            self._open_handle(), ctypes.addressof(self._address), len(self._buffer), timeout_ms
        )
        if got < 0:
            raise SensorError(f"cannot read the ring buffers: {os.strerror(-got)}")
        return self._view[:got]

    def losses(self) -> dict[tuple[str, str], int]:
        """Return the totals since load by (kind, cause); those that are not zero."""
        totals = (ctypes.c_uint64 * ((len(KINDS) + 1) * len(CAUSES)))()  # its own: two threads may ask
        if self._library.kw_counters(self._open_handle(), totals, len(totals)):
            raise SensorError("cannot read the loss counters")
        found: dict[tuple[str, str], int] = {}
        for index, total in enumerate(totals):
            if total:
                kind, cause = divmod(index, len(CAUSES))
                found[KINDS[kind - 1] if kind else ANY, CAUSES[cause]] = total
        return found

    def close(self) -> None:
        """Detach and unload. May be called twice."""
        handle, self._handle = self._handle, None
        if handle is not None:
            self._library.kw_close(handle)

    def __enter__(self) -> Sensor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open_handle(self) -> int:
        if self._handle is None:
            raise SensorError("the sensor is closed")
        return self._handle


def _explain(error: bytes) -> str:
    text = error.decode("utf-8", "backslashreplace").strip()
    if "Operation not permitted" in text and os.geteuid() != 0:
        text += "\nIt needs root, or CAP_BPF, CAP_PERFMON and CAP_SYS_RESOURCE."
    return text


def problems() -> list[str]:
    """Say why the sensor cannot be loaded here, each with how to mend it; empty when it can."""
    checks: tuple[Callable[[], str], ...] = (_wrong_machine, _no_btf, _no_right, _no_build)
    return [problem for check in checks if (problem := check())]


def _wrong_machine() -> str:
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return f"the sensor runs on Linux x86-64, this is {platform.system()} {platform.machine()}"
    release = platform.release().split(".")
    try:
        version = int(release[0]), int(release[1].split("-")[0])
    except (IndexError, ValueError):
        return ""
    return "" if version >= (5, 8) else f"kernel {platform.release()} is too old: 5.8 or later is needed"


def _no_btf() -> str:
    if Path("/sys/kernel/btf/vmlinux").exists():
        return ""
    return "the kernel has no BTF (/sys/kernel/btf/vmlinux): boot one built with CONFIG_DEBUG_INFO_BTF=y"


def _no_right() -> str:
    if os.geteuid() == 0:
        return ""
    return "loading eBPF programs needs root: start the agent as root, or as a privileged container"


def _no_build() -> str:
    if not OBJECT.exists():
        return f"{OBJECT} is not built: run `make -C sensor`"
    try:
        _library()
    except SensorError as error:
        return str(error)
    return ""
