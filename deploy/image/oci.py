"""An OCI archive of several layers, gzipped, equal for equal contents."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MADE_AT = 1_700_000_000
"""All files carry one time, so that the same content is the same digest."""
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"


@dataclass(frozen=True, slots=True)
class Layer:
    """A gzipped tar; `diff_id` is the digest of what is in it."""

    blob: bytes
    diff_id: str


def layer(root: Path) -> Layer:
    """Everything below `root`, owned by root, in order of name."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(root.rglob("*")):
            archive.add(path, str(path.relative_to(root)), recursive=False, filter=_plain)
    return Layer(gzip.compress(raw.getvalue(), 6, mtime=0), _digest(raw.getvalue()))


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mtime = MADE_AT
    member.pax_headers = {}
    member.mode = (
        0o1777 if member.name == "tmp" else 0o755 if member.isdir() or member.mode & 0o100 else 0o644
    )
    return member


def write(layers: Sequence[Layer], config: dict[str, Any], name: str, file: Path) -> str:
    """Write the archive; return the manifest's digest. `docker load` takes it, too."""
    settings = _json(
        {
            "architecture": "amd64",
            "os": "linux",
            "created": "2023-11-14T22:13:20Z",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        }
    )
    blobs = [layer.blob for layer in layers]
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": _descriptor(_CONFIG, settings),
            "layers": [_descriptor(_LAYER, blob) for blob in blobs],
        }
    )
    entry = _descriptor(_MANIFEST, manifest)
    entry["annotations"] = {
        "io.containerd.image.name": name,
        "org.opencontainers.image.ref.name": name.rpartition(":")[2],
    }
    docker = [{"Config": _place(settings), "RepoTags": [name], "Layers": [_place(blob) for blob in blobs]}]
    with tarfile.open(file, "w") as archive:
        for blob in dict.fromkeys([*blobs, settings, manifest]):
            _add(archive, _place(blob), blob)
        _add(archive, "oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
        _add(archive, "index.json", _json({"schemaVersion": 2, "manifests": [entry]}))
        _add(archive, "manifest.json", _json(docker))
    return str(entry["digest"])


def _add(archive: tarfile.TarFile, path: str, blob: bytes) -> None:
    member = tarfile.TarInfo(path)
    member.size, member.mtime = len(blob), MADE_AT
    archive.addfile(member, io.BytesIO(blob))


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _digest(blob: bytes) -> str:
    return "sha256:" + hashlib.sha256(blob).hexdigest()


def _place(blob: bytes) -> str:
    return "blobs/" + _digest(blob).replace(":", "/")


def _descriptor(media_type: str, blob: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": _digest(blob), "size": len(blob)}
