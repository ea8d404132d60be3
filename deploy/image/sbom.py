"""The image's bill of materials: CycloneDX 1.5 JSON, from what was really put into it."""

from __future__ import annotations

import email
import json
import re
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from deploy.image.debian import Package
from deploy.image.python import HOME

PLACE = "usr/share/keelwatch/sbom.cdx.json"
_SPDX = re.compile(r"[A-Za-z0-9.+-]+( (AND|OR|WITH) [A-Za-z0-9.+-]+)*")


def make(roots: Sequence[Path], packages: Iterable[Package], name: str, version: str) -> str:
    """The document for what `roots` hold, as JSON text; equal contents give equal text."""
    components = [_debian(roots[0], package) for package in packages]
    components += [component for root in roots for component in _python(root)]
    components.sort(key=lambda component: component["purl"])
    seed = json.dumps(components, sort_keys=True)
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, seed)}",
        "version": 1,
        "metadata": {"component": {"type": "container", "name": name, "version": version, "bom-ref": name}},
        "components": components,
    }
    return json.dumps(document, indent=1) + "\n"


def _debian(root: Path, package: Package) -> dict[str, Any]:
    purl = f"pkg:deb/debian/{quote(package.name)}@{quote(package.version)}?arch=amd64&distro=debian-12"
    return {
        "type": "library", "bom-ref": purl, "name": package.name, "version": package.version, "purl": purl,
        "licenses": _licences(_debian_licences(root / "usr/share/doc" / package.name / "copyright")),
        "hashes": [{"alg": "SHA-256", "content": package.sha256}],
    }  # fmt: skip


def _debian_licences(copyright_file: Path) -> list[str]:
    """Short names of a machine-readable copyright file; none where it is free text."""
    if not copyright_file.exists():
        return []
    text = copyright_file.read_text(errors="replace")
    return sorted(set(re.findall(r"^License: *(\S.*)$", text, re.MULTILINE)))[:40]


def _python(root: Path) -> list[dict[str, Any]]:
    found = []
    for file in sorted((root / HOME).glob("*.dist-info/METADATA")):
        metadata = email.message_from_string(file.read_text(errors="replace"))
        purl = f"pkg:pypi/{quote(metadata['Name'].lower())}@{quote(metadata['Version'])}"
        found.append(
            {
                "type": "library",
                "bom-ref": purl,
                "name": metadata["Name"],
                "version": metadata["Version"],
                "purl": purl,
                "licenses": _licences(_python_licences(metadata)),
            }
        )
    return found


def _python_licences(metadata: email.message.Message) -> list[str]:
    if expression := metadata["License-Expression"]:
        return [expression]
    classified = [value for value in metadata.get_all("Classifier", []) if value.startswith("License ::")]
    if classified:
        return [value.rpartition(":: ")[2] for value in classified]
    licence = (metadata["License"] or "").strip()
    return [licence.splitlines()[0][:100]] if licence else []


def _licences(names: Iterable[str]) -> list[dict[str, Any]]:
    """An SPDX expression may only stand alone; anything else is a named licence."""
    names = list(names)
    if len(names) == 1 and _SPDX.fullmatch(names[0]) and any(char.isdigit() for char in names[0]):
        return [{"expression": names[0]}]
    return [{"license": {"name": name}} for name in names]
