"""The floor: an empty program at the exit of every system call, attached through libbpf."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parent / "programs" / "floor.bpf.c"
FLAGS = (
    "-target",
    "bpfel-freestanding",
    "-mcpu=v2",
    "-O2",
    "-g",
    "-fno-asynchronous-unwind-tables",
    "-fno-unwind-tables",
)


@contextmanager
def floor(folder: Path) -> Iterator[None]:
    """The empty program is attached meanwhile; `folder` is for the object file."""
    made = folder / "floor.bpf.o"
    subprocess.run([sys.executable, "-m", "ziglang", "cc", *FLAGS, "-c", SOURCE, "-o", made], check=True)
    libbpf = _libbpf()
    opened = libbpf.bpf_object__open_file(bytes(made), None)
    if not opened or libbpf.bpf_object__load(opened):
        raise OSError("the kernel refused the empty program")
    link = libbpf.bpf_program__attach(libbpf.bpf_object__find_program_by_name(opened, b"nothing"))
    if not link:
        raise OSError("the empty program cannot be attached")
    try:
        yield
    finally:
        libbpf.bpf_link__destroy(link)
        libbpf.bpf_object__close(opened)


def _libbpf() -> Any:
    library = ctypes.CDLL("libbpf.so.1")
    pointer, text = ctypes.c_void_p, ctypes.c_char_p
    signatures: dict[str, tuple[list[Any], Any]] = {
        "bpf_object__open_file": ([text, pointer], pointer),
        "bpf_object__load": ([pointer], ctypes.c_int),
        "bpf_object__find_program_by_name": ([pointer, text], pointer),
        "bpf_program__attach": ([pointer], pointer),
        "bpf_link__destroy": ([pointer], ctypes.c_int),
        "bpf_object__close": ([pointer], None),
    }
    for name, (arguments, result) in signatures.items():
        function = getattr(library, name)
        function.argtypes, function.restype = arguments, result
    return library
