"""The generated CRI messages are those of cri.proto."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("grpc_tools", reason="needs grpcio-tools (pip install -e .[dev])")
SOURCE = Path(__file__).parents[3] / "src"
PACKAGE = Path("keelwatch/enrich/runtime")


def test_generating_again_gives_the_committed_files(tmp_path: Path) -> None:
    options = [
        f"-I{SOURCE}",
        f"--python_out={tmp_path}",
        f"--pyi_out={tmp_path}",
        str(SOURCE / PACKAGE / "cri.proto"),
    ]
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *options], check=True)
    for name in ("cri_pb2.py", "cri_pb2.pyi"):
        assert (tmp_path / PACKAGE / name).read_text() == (SOURCE / PACKAGE / name).read_text()
