"""The image as a pod runs it: all modules can be imported, its bill of materials is true, it has no shell."""

from __future__ import annotations

import json
import secrets

import pytest

from tests.e2e_support import IMAGE, missing, run

pytestmark = pytest.mark.cluster

LOOK = """
import importlib, importlib.metadata, json, os, pkgutil, sys
sys.path.insert(1, "/usr/lib/keelwatch")
import keelwatch
names = [m.name for m in pkgutil.walk_packages(keelwatch.__path__, "keelwatch.")]
failed = {}
for name in names:
    try:
        importlib.import_module(name)
    except Exception as error:
        failed[name] = repr(error)
print(json.dumps({
    "modules": len(names), "failed": failed, "uid": os.getuid(),
    "shells": [p for p in ("/bin/sh", "/bin/bash", "/usr/bin/dpkg", "/usr/bin/apt") if os.path.exists(p)],
    "installed": sorted(d.metadata["Name"] for d in importlib.metadata.distributions(path=sys.path[1:2])),
    "debian": sorted(os.listdir("/var/lib/dpkg/status.d")),
    "sbom": json.load(open("/usr/share/keelwatch/sbom.cdx.json")),
}))
"""


def test_the_image() -> None:
    if lacks := missing():
        pytest.skip(lacks)
    pod = f"image-{secrets.token_hex(3)}"
    command = ["kubectl", "run", pod, "--restart=Never", f"--image={IMAGE}", "--command", "--"]
    run(*command, "/usr/bin/python3.11", "-I", "-c", LOOK)
    try:
        # Not `kubectl run -i`: what is said before it has attached is lost.
        run("kubectl", "wait", f"pod/{pod}", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=120s")
        found = json.loads(run("kubectl", "logs", pod))
    finally:
        run("kubectl", "delete", "pod", pod, "--wait=false")
    assert found["failed"] == {}
    assert found["modules"] > 150
    assert (found["uid"], found["shells"]) == (65532, [])
    named = {part["name"] for part in found["sbom"]["components"]}
    assert named == {*found["installed"], *found["debian"]}
