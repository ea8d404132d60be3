"""Container images made from local files, without any engine: OCI layouts in a tar archive.

The workload image is busybox and the lab's own static programs, with a few files of the kind that
attackers change. The archive also carries Docker's manifest.json, so `docker load` takes it, too.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.requirements import BUSYBOX

PAUSE_IMAGE = "localhost/keelwatch/pause:1"
WORKLOAD_IMAGE = "localhost/shop/checkout:1.4.2"
SOURCES = Path(__file__).parent / "programs"
BUILD = Path(__file__).parent.parent / ".build" / "lab"
BUILT_AT = 1_700_000_000
"""Files carry a fixed time, so that the same content is the same digest."""

FILES: dict[str, str] = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nshop:x:1000:1000:shop:/home/shop:/bin/sh\n",
    "etc/group": "root:x:0:\nshop:x:1000:\n",
    "etc/os-release": 'ID=lab\nNAME="lab"\nVERSION_ID=1\n',
    "etc/shop/checkout.conf": "currency = EUR\npayment = https://payment.shop.internal/v2\n",
}
SCRIPTS: dict[str, str] = {
    "usr/local/bin/checkout": '#!/bin/sh\nexec loggen -r "${LINES_PER_SECOND:-5}" -p "order ${HOSTNAME}"\n',
    "usr/local/bin/healthcheck": "#!/bin/sh\necho ok\n",
}


@dataclass
class Image:
    """A root file system of one layer; paths have no leading slash, values are (content, mode)."""

    name: str
    command: list[str]
    files: dict[str, tuple[bytes, int]] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    folders: tuple[str, ...] = ()
    environment: tuple[str, ...] = ("PATH=/usr/local/bin:/bin:/sbin:/usr/bin",)


def compile_program(name: str, folder: Path = SOURCES) -> bytes:
    """Return the static x86-64 program made from <folder>/<name>.c, built once per source text."""
    source = folder / f"{name}.c"
    digest = hashlib.sha256(source.read_bytes()).hexdigest()[:12]
    target = BUILD / f"{name}-{digest}"
    if not target.exists():
        BUILD.mkdir(parents=True, exist_ok=True)
        draft = target.with_suffix(f".{os.getpid()}")
        options = ["-target", "x86_64-linux-musl", "-static", "-O2", "-s", "-Wall", "-Wextra", "-Werror"]
        subprocess.run([sys.executable, "-m", "ziglang", "cc", *options, "-o", draft, source], check=True)
        draft.rename(target)
    return target.read_bytes()


def pause_image() -> Image:
    """The sandbox image."""
    return Image(PAUSE_IMAGE, ["/pause"], {"pause": (compile_program("pause"), 0o755)})


def workload_image(name: str = WORKLOAD_IMAGE) -> Image:
    """Busybox with its commands, loggen, toolbox, the demo's entrypoint `checkout`; no two names alike."""
    files = {path: (text.encode(), 0o644) for path, text in FILES.items()}
    files["etc/shop/release"] = (f"{name}\n".encode(), 0o644)
    files |= {path: (text.encode(), 0o755) for path, text in SCRIPTS.items()}
    files["bin/busybox"] = (BUSYBOX.read_bytes(), 0o755)
    for program in ("loggen", "toolbox"):
        files[f"usr/local/bin/{program}"] = (compile_program(program), 0o755)
    commands = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split()
    links = {f"bin/{command}": "busybox" for command in commands if command != "busybox"}
    folders = ("dev", "proc", "sys", "tmp", "var/log", "home/shop", "root", "run")
    return Image(name, ["/usr/local/bin/checkout"], files, links, folders)


def write_archive(image: Image, path: Path) -> str:
    """Write `image` as an OCI archive to `path`; return the digest of its manifest."""
    layer = _layer(image)
    config = _json(_config(image, layer))
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": _descriptor("application/vnd.oci.image.config.v1+json", config),
            "layers": [_descriptor("application/vnd.oci.image.layer.v1.tar", layer)],
        }
    )
    entry = _descriptor("application/vnd.oci.image.manifest.v1+json", manifest)
    entry["annotations"] = {
        "io.containerd.image.name": image.name,
        "org.opencontainers.image.ref.name": image.name.rpartition(":")[2],
    }
    docker = [{"Config": _blob_path(config), "RepoTags": [image.name], "Layers": [_blob_path(layer)]}]
    with tarfile.open(path, "w") as archive:
        for blob in (layer, config, manifest):
            _add(archive, _blob_path(blob), blob, 0o644)
        _add(archive, "oci-layout", _json({"imageLayoutVersion": "1.0.0"}), 0o644)
        _add(archive, "index.json", _json({"schemaVersion": 2, "manifests": [entry]}), 0o644)
        _add(archive, "manifest.json", _json(docker), 0o644)
    return str(entry["digest"])


def _config(image: Image, layer: bytes) -> dict[str, Any]:
    return {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": image.command, "Env": list(image.environment), "WorkingDir": "/"},
        "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
    }


def _layer(image: Image) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for folder in _folders(image):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mtime = tarfile.DIRTYPE, BUILT_AT
            entry.mode = 0o1777 if folder == "tmp" else 0o755
            archive.addfile(entry)
        for path, (content, mode) in sorted(image.files.items()):
            _add(archive, path, content, mode)
        for path, target in sorted(image.links.items()):
            entry = tarfile.TarInfo(path)
            entry.type, entry.linkname, entry.mtime = tarfile.SYMTYPE, target, BUILT_AT
            archive.addfile(entry)
    return out.getvalue()


def _folders(image: Image) -> list[str]:
    found = set()
    for path in [*image.files, *image.links, *(f"{folder}/." for folder in image.folders)]:
        found |= {str(parent) for parent in Path(path).parents if str(parent) != "."}
    return sorted(found | set(image.folders))


def _add(archive: tarfile.TarFile, path: str, content: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(path)
    entry.size, entry.mode, entry.mtime = len(content), mode, BUILT_AT
    archive.addfile(entry, io.BytesIO(content))


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _digest(blob: bytes) -> str:
    return "sha256:" + hashlib.sha256(blob).hexdigest()


def _blob_path(blob: bytes) -> str:
    return "blobs/" + _digest(blob).replace(":", "/")


def _descriptor(media_type: str, blob: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": _digest(blob), "size": len(blob)}
