"""deploy/image/build: the image as an OCI archive, without a container engine.

build [--name NAME] [--out FILE] [--strict]   write the archive, and FILE.sbom.json beside it
build --root FOLDER                           only the root file system (what the Dockerfile does)
build --lock                                  take current versions into packages.lock, requirements.lock
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from deploy.image import debian, oci, python, sbom
from keelwatch import __version__

PROJECT = Path(__file__).parent.parent.parent
CACHE = PROJECT / ".build" / "image"
NAME = "localhost/keelwatch:dev"
USER = 65532
ACCOUNTS = {
    "etc/passwd": "root:x:0:0:root:/root:/sbin/nologin\n"
    f"keelwatch:x:{USER}:{USER}::/var/lib/keelwatch:/sbin/nologin\n",
    "etc/group": f"root:x:0:\nkeelwatch:x:{USER}:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}
FOLDERS = ("tmp", "proc", "sys", "dev", "run", "root", "var/lib/keelwatch", "etc/keelwatch")
CONFIG = {
    "User": f"{USER}:{USER}",
    "Entrypoint": ["/usr/bin/keelwatch"],
    "WorkingDir": "/",
    "Env": ["PATH=/usr/bin", "LANG=C.UTF-8", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt", "HOME=/tmp"],
    "Labels": {
        "org.opencontainers.image.title": "keelwatch",
        "org.opencontainers.image.version": __version__,
        "org.opencontainers.image.licenses": "Apache-2.0",
    },
}


def main() -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="deploy/image/build", description=__doc__)
    parser.add_argument("--name", default=NAME, help=f"the image's name (default {NAME})")
    parser.add_argument("--out", type=Path, default=CACHE / "keelwatch.tar")
    parser.add_argument("--root", type=Path, help="write the root file system there, and no archive")
    parser.add_argument("--strict", action="store_true", help="fail when a locked Debian package is gone")
    parser.add_argument("--lock", action="store_true", help="take the current versions of everything")
    options = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    try:
        if options.lock:
            debian.lock()
            python.lock(CACHE)
        elif options.root:
            for root in _roots(options.name, strict=options.strict):
                shutil.copytree(root, options.root, symlinks=True, dirs_exist_ok=True)
        else:
            _archive(options.name, options.out, strict=options.strict)
    except (RuntimeError, OSError) as error:
        print(f"build: {error}", file=sys.stderr)
        return 1
    return 0


def _archive(name: str, out: Path, *, strict: bool) -> None:
    roots = _roots(name, strict=strict)
    layers = [_layer(root) for root in roots]
    digest = oci.write(layers, CONFIG, name, out)
    out.with_suffix(".sbom.json").write_text((roots[-1] / sbom.PLACE).read_text())
    unpacked = sum(path.lstat().st_size for root in roots for path in root.rglob("*") if path.is_file())
    packed = " + ".join(f"{len(layer.blob) / 1e6:.1f}" for layer in layers)
    print(f"{name} {digest}\n{out}: {packed} MB in layers, {unpacked / 1e6:.0f} MB unpacked")


def _roots(name: str, *, strict: bool) -> list[Path]:
    """Three roots to be laid over each other: Debian, Python packages, keelwatch."""
    files = debian.fetch(CACHE / "debs", strict=strict)
    digests = [package.sha256 for package, _ in files]
    system = _once("system", [*digests, _source(debian)], lambda root: _system(root, files))
    inputs = [python.LOCK.read_text(), python.LEFT_OUT.read_text(), _source(python)]
    packages = _once("packages", inputs, lambda root: _packages(root, system))
    own = CACHE / "own"
    shutil.rmtree(own, ignore_errors=True)
    python.install_keelwatch(own, python.wheel(CACHE))
    python.compile_all(own, python.HOME, system)
    document = sbom.make([system, packages, own], [package for package, _ in files], name, __version__)
    (own / sbom.PLACE).parent.mkdir(parents=True)
    (own / sbom.PLACE).write_text(document)
    return [system, packages, own]


def _source(module: ModuleType) -> str:
    return Path(module.__file__ or "").read_text()


def _once(part: str, inputs: list[str], make: Callable[[Path], None]) -> Path:
    """A root that is made again only when its inputs have changed."""
    key = hashlib.sha256("\n".join(inputs).encode()).hexdigest()[:16]
    root = CACHE / f"{part}-{key}"
    if not root.exists():
        for old in CACHE.glob(f"{part}-*"):
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        draft = CACHE / f"{part}.draft"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        make(draft)
        draft.rename(root)
    return root


def _system(root: Path, files: list[tuple[debian.Package, Path]]) -> None:
    debian.unpack(files, root)
    for path in FOLDERS:
        (root / path).mkdir(parents=True, exist_ok=True)
    (root / "tmp").chmod(0o1777)
    for path, text in ACCOUNTS.items():
        (root / path).write_text(text)
    python.compile_all(root, f"usr/lib/python{python.VERSION}", root)


def _packages(root: Path, system: Path) -> None:
    python.install(root, CACHE)
    python.compile_all(root, python.HOME, system)


def _layer(root: Path) -> oci.Layer:
    """The root's layer; packing takes longer than all the rest, so it is kept where the root is kept."""
    if "-" not in root.name:
        return oci.layer(root)
    blob, diff = root.with_suffix(".tar.gz"), root.with_suffix(".diff-id")
    if not diff.exists():
        made = oci.layer(root)
        blob.write_bytes(made.blob)
        diff.write_text(made.diff_id)
    return oci.Layer(blob.read_bytes(), diff.read_text())


if __name__ == "__main__":
    sys.exit(main())
