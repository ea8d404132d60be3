"""Python packages of the image: wheels as locked, with digests, and keelwatch's own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
PROJECT = HERE.parent.parent
LOCK = HERE / "requirements.lock"
HOME = "usr/lib/keelwatch"
"""Where the packages are: a folder of their own beside Debian's Python."""
VERSION = "3.11"
PLATFORMS = ("linux", "manylinux2014", *(f"manylinux_2_{minor}" for minor in (34, 31, 28, 27, 26, 17)))
TARGET = ["--python-version", VERSION, "--implementation", "cp", "--only-binary", ":all:"]
TARGET += [part for name in PLATFORMS for part in ("--platform", f"{name}_x86_64")]
LAUNCHER = f"""#!/usr/bin/python{VERSION} -I
import sys

sys.path.insert(1, "/{HOME}")
from keelwatch.cli.main import main

sys.exit(main())
"""
LEFT_OUT = HERE / "left-out.list"
STAND_IN = HERE / "stand-in"
"""Modules in place of left-out packages that others import without using them."""


def wheel(cache: Path) -> Path:
    """keelwatch's own wheel, built from this checkout."""
    folder = cache / "wheel"
    shutil.rmtree(folder, ignore_errors=True)
    command = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(folder),
        str(PROJECT),
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"the wheel cannot be built:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return next(folder.glob("*.whl"))


def lock(cache: Path) -> None:
    """Resolve the wheel's dependencies anew and write them with their digests to requirements.lock."""
    report = cache / "report.json"
    _pip("install", "--dry-run", "--ignore-installed", "--target", str(cache / "none"),
         "--report", str(report), *TARGET, str(wheel(cache)))  # fmt: skip
    rows = [_row(found) for found in json.loads(report.read_text())["install"]]
    text = "".join(sorted(row for row in rows if row))
    LOCK.write_text(f"# Made by `build --lock` for CPython {VERSION} on x86-64.\n{text}")


def _row(found: dict[str, dict[str, object]]) -> str:
    metadata, download = found["metadata"], found["download_info"]
    if metadata["name"] == "keelwatch" or metadata["name"] in left_out("package"):
        return ""
    hashes = download["archive_info"]["hashes"]  # type: ignore[index]  # the report's own shape
    return f"{metadata['name']}=={metadata['version']} --hash=sha256:{hashes['sha256']}\n"


def install(root: Path, cache: Path) -> None:
    """Put the locked dependencies into `root`."""
    home = root / HOME
    wheels = cache / "wheels"
    _pip("download", "--no-deps", "--require-hashes", "--dest", str(wheels), *TARGET, "-r", str(LOCK))
    local = ["--no-deps", "--no-index", "--no-compile", "--require-hashes", "--find-links", str(wheels)]
    _pip("install", *local, "--target", str(home), *TARGET, "-r", str(LOCK))
    shutil.rmtree(home / "bin", ignore_errors=True)
    _slim(home)


def install_keelwatch(root: Path, built: Path) -> None:
    """Put keelwatch itself into `root`, with its launcher."""
    _pip(
        "install",
        "--no-deps",
        "--no-index",
        "--no-compile",
        "--target",
        str(root / HOME),
        "--upgrade",
        str(built),
    )
    shutil.rmtree(root / HOME / "bin", ignore_errors=True)
    for module in STAND_IN.glob("*.py"):
        shutil.copy(module, root / HOME)
    launcher = root / "usr/bin/keelwatch"
    launcher.parent.mkdir(parents=True, exist_ok=True)
    launcher.write_text(LAUNCHER)
    launcher.chmod(0o755)


def compile_all(root: Path, folder: str, system: Path) -> None:
    """Byte-compile `folder` with the image's own Python in `system`: the image is read-only where it runs.

    Hashes instead of times, so that equal sources make an equal image.
    """
    loader = system / "usr/lib64/ld-linux-x86-64.so.2"
    libraries = system / "usr/lib/x86_64-linux-gnu"
    python = [str(loader), "--library-path", str(libraries), str(system / f"usr/bin/python{VERSION}")]
    options = [
        "-I",
        "-m",
        "compileall",
        "-q",
        "-s",
        str(root),
        "-p",
        "/",
        "--invalidation-mode",
        "unchecked-hash",
    ]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    subprocess.run([*python, "-S", *options, str(root / folder)], check=False, env=environment)


def left_out(kind: str) -> list[str]:
    """The "package" names or "folder" patterns of left-out.list."""
    rows = (line.partition("#")[0].split() for line in LEFT_OUT.read_text().splitlines())
    return [row[1] for row in rows if row and row[0] == kind]


def _slim(home: Path) -> None:
    for pattern in left_out("folder"):
        for path in list(home.glob(pattern)):
            shutil.rmtree(path)
    for library in home.rglob("*.so*"):
        if library.is_file() and not library.is_symlink():
            subprocess.run(["strip", "--strip-unneeded", library], check=False, capture_output=True)
    for record in home.glob("*.dist-info/RECORD"):
        record.unlink()  # it lists what is not there any more
    for stray in home.rglob("*.pyi"):
        stray.unlink()


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", *arguments, "-q", "--disable-pip-version-check"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        told = re.sub(r"https?://\S+", "(the registry)", done.stderr)
        raise RuntimeError(f"pip {arguments[0]} failed: {told[-2000:]}")
