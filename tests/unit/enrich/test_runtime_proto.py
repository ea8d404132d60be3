"""The generated messages are those of the .proto files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("grpc_tools", reason="needs grpcio-tools (pip install -e .[dev])")
SOURCE = Path(__file__).parents[3] / "src"
PACKAGE = Path("keelwatch/enrich/runtime")


@pytest.mark.parametrize("name", ["cri", "containerd"])
def test_generating_again_gives_the_committed_files(name: str, tmp_path: Path) -> None:
    proto = SOURCE / PACKAGE / f"{name}.proto"
    options = [f"-I{SOURCE}", f"--python_out={tmp_path}", f"--pyi_out={tmp_path}", str(proto)]
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *options], check=True)
    for made in (f"{name}_pb2.py", f"{name}_pb2.pyi"):
        assert (tmp_path / PACKAGE / made).read_text() == (SOURCE / PACKAGE / made).read_text()
