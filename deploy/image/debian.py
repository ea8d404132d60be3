"""Debian packages: fetched by apt as locked, unpacked without their scripts, stripped to what runs."""

from __future__ import annotations

import fnmatch
import hashlib
import io
import os
import re
import subprocess
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
LIST, LOCK = HERE / "packages.list", HERE / "packages.lock"
MERGED = ("bin", "sbin", "lib", "lib64")
"""Folders that are links into /usr on Debian; packages still name them."""
DROP = (
    "usr/share/doc/*/*", "usr/share/man/*", "usr/share/locale/*", "usr/share/info/*", "usr/share/lintian/*",
    "usr/share/bug/*", "usr/share/doc-base/*", "usr/share/menu/*", "usr/share/applications/*",
    "usr/share/pixmaps/*", "usr/share/binfmts/*", "usr/share/gdb/*", "usr/share/base-files/*",
    "usr/lib/python3.11/test/*", "usr/lib/python3.11/idlelib/*", "usr/lib/python3.11/lib2to3/*",
    "usr/lib/python3.11/pydoc_data/*", "usr/lib/python3.11/ensurepip/*", "usr/lib/python3.11/tkinter/*",
    "usr/lib/python3.11/turtledemo/*", "usr/lib/python3.11/distutils/*", "usr/lib/python3.11/curses/*",
    "usr/lib/python3.11/lib-dynload/_c*cn.*", "usr/lib/python3.11/lib-dynload/_codecs_[hjkt]*",
    "usr/lib/python3.11/lib-dynload/_curses*", "usr/lib/python3.11/lib-dynload/readline*",
    "usr/lib/python3.11/lib-dynload/nis*", "usr/lib/python3.11/lib-dynload/_dbm*",
    "usr/lib/python3.11/lib-dynload/_sqlite3*", "usr/lib/python3.11/lib-dynload/_tkinter*",
    "usr/lib/python3.11/lib-dynload/_crypt*", "usr/lib/python3.11/lib-dynload/_test*",
    "usr/lib/python3.11/lib-dynload/xx*", "usr/lib/python3.11/config-*",
    "usr/lib/x86_64-linux-gnu/gconv/*", "usr/lib/x86_64-linux-gnu/audit/*",
    "usr/bin/ld.so", "usr/sbin/*", "etc/init.d/*", "etc/update-motd.d/*", "etc/apport/*", "etc/python3.11/*",
)  # fmt: skip
KEEP = ("usr/share/doc/*/copyright",)


class LockError(RuntimeError):
    """A locked package cannot be had, or is not what was locked."""


@dataclass(frozen=True, slots=True)
class Package:
    """One Debian package and the digest of its file."""

    name: str
    version: str
    sha256: str


def wanted() -> list[str]:
    """The names in packages.list."""
    lines = (line.partition("#")[0].strip() for line in LIST.read_text().splitlines())
    return [line for line in lines if line]


def locked() -> list[Package]:
    """What packages.lock says."""
    rows = (line.split() for line in LOCK.read_text().splitlines() if line and not line.startswith("#"))
    return [Package(*row) for row in rows]


def lock() -> None:
    """Write the archive's current versions and digests to packages.lock."""
    rows = [" ".join((name, *_current(name))) for name in wanted()]
    LOCK.write_text("# Made by `build --lock`: name, version, sha256.\n" + "\n".join(rows) + "\n")


def fetch(folder: Path, *, strict: bool) -> list[tuple[Package, Path]]:
    """The locked packages' files, downloaded into `folder` once.

    Debian takes superseded versions out of its archive. Unless `strict`, the current one of the same
    release is then taken and named on standard output (the SBOM has it, too).
    """
    folder.mkdir(parents=True, exist_ok=True)
    return [_fetch(package, folder, strict) for package in locked()]


def _fetch(package: Package, folder: Path, strict: bool) -> tuple[Package, Path]:
    file = folder / f"{package.sha256}.deb"
    if not file.exists() and not _download(package, folder, file):
        if strict:
            raise LockError(f"{package.name} {package.version} is not in the archive any more: build --lock")
        version, sha256 = _current(package.name)
        print(f"{package.name}: {package.version} is gone from the archive, {version} is taken")
        package = Package(package.name, version, sha256)
        return _fetch(package, folder, strict=True)
    if hashlib.sha256(file.read_bytes()).hexdigest() != package.sha256:
        file.unlink()
        raise LockError(f"{package.name} {package.version} is not the file that was locked")
    return package, file


def _download(package: Package, folder: Path, file: Path) -> bool:
    before = set(folder.glob("*.deb"))
    # The sandbox user may not enter the folder; what is fetched is checked by digest.
    command = ["apt-get", "download", "-oAPT::Sandbox::User=root", f"{package.name}={package.version}"]
    if subprocess.run(command, check=False, cwd=folder, capture_output=True).returncode:
        return False
    for path in set(folder.glob("*.deb")) - before:
        path.rename(file)
    return file.exists()


def _current(name: str) -> tuple[str, str]:
    """Version and digest of the archive's newest package."""
    command = ["apt-cache", "show", "--no-all-versions", name]
    told = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    version = re.search(r"^Version: (\S+)", told, re.MULTILINE)
    sha256 = re.search(r"^SHA256: (\S+)", told, re.MULTILINE)
    if version is None or sha256 is None:
        raise LockError(f"apt knows no package {name}: is this Debian 12, after apt-get update?")
    return version[1], sha256[1]


def unpack(packages: Iterable[tuple[Package, Path]], root: Path) -> None:
    """Put the packages' files into `root`, control files for scanners beside them; run no script."""
    for name in MERGED:
        (root / "usr" / name).mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(f"usr/{name}")
    for package, file in packages:
        for member, content in _members(file, "--fsys-tarfile"):
            _put(root, member, content)
        control = next(c for m, c in _members(file, "--ctrl-tarfile") if m.name.endswith("/control"))
        status = root / "var/lib/dpkg/status.d" / package.name
        status.parent.mkdir(parents=True, exist_ok=True)
        status.write_bytes(control)
    _bundle_authorities(root)


def _members(file: Path, part: str) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    data = subprocess.run(["dpkg-deb", part, file], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            opened = archive.extractfile(member) if member.isreg() else None
            yield member, opened.read() if opened else b""


def _put(root: Path, member: tarfile.TarInfo, content: bytes) -> None:
    path = _merged(member.name)
    if not path or _dropped(path):
        return
    target = root / path
    if member.isdir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if member.issym():
        target.unlink(missing_ok=True)
        target.symlink_to(member.linkname)
    elif member.islnk():
        os.link(root / _merged(member.linkname), target)
    elif member.isreg():
        target.write_bytes(content)
        target.chmod(member.mode & 0o755)  # no setuid programs in this image


def _merged(name: str) -> str:
    path = os.path.normpath(name).strip("/").removeprefix(".")
    return f"usr/{path}" if path.partition("/")[0] in MERGED else path


def _dropped(path: str) -> bool:
    if any(fnmatch.fnmatch(path, pattern) for pattern in KEEP):
        return False
    return any(fnmatch.fnmatch(path, pattern) for pattern in DROP)


def _bundle_authorities(root: Path) -> None:
    """What the package's script would make: one file with all authorities."""
    folder = root / "usr/share/ca-certificates/mozilla"
    bundle = root / "etc/ssl/certs/ca-certificates.crt"
    bundle.parent.mkdir(parents=True, exist_ok=True)
    bundle.write_bytes(b"".join(path.read_bytes() for path in sorted(folder.glob("*.crt"))))
