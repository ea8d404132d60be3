"""The image's parts that need no network: archives equal for equal contents, the bill of materials."""

from __future__ import annotations

import gzip
import io
import json
import re
import shlex
import tarfile
import tomllib
from pathlib import Path

import pytest

from deploy.image import __main__ as image
from deploy.image import debian, oci, python, sbom


def make_root(folder: Path) -> Path:
    (folder / "usr/bin").mkdir(parents=True)
    (folder / "usr/bin/program").write_text("#!/bin/sh\n")
    (folder / "usr/bin/program").chmod(0o750)
    (folder / "tmp").mkdir()
    (folder / "bin").symlink_to("usr/bin")
    return folder


def test_layers_are_equal_for_equal_contents(tmp_path: Path) -> None:
    first, second = oci.layer(make_root(tmp_path / "a")), oci.layer(make_root(tmp_path / "b"))
    assert first == second


def test_files_are_roots_and_the_same_for_all(tmp_path: Path) -> None:
    layer = oci.layer(make_root(tmp_path / "a"))
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(layer.blob))) as archive:
        members = {member.name: member for member in archive}
    assert {(member.uid, member.gid) for member in members.values()} == {(0, 0)}
    assert oct(members["usr/bin/program"].mode) == "0o755"
    assert oct(members["tmp"].mode) == "0o1777"
    assert members["bin"].linkname == "usr/bin"


def test_an_archive_holds_what_its_index_names(tmp_path: Path) -> None:
    layer = oci.layer(make_root(tmp_path / "a"))
    digest = oci.write([layer], {"User": "1"}, "localhost/x:1", tmp_path / "x.tar")
    with tarfile.open(tmp_path / "x.tar") as archive:
        blobs = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    index = json.loads(blobs["index.json"])
    assert index["manifests"][0]["digest"] == digest
    manifest = json.loads(blobs["blobs/" + digest.replace(":", "/")])
    config = json.loads(blobs["blobs/" + manifest["config"]["digest"].replace(":", "/")])
    assert config["rootfs"]["diff_ids"] == [layer.diff_id]
    assert manifest["layers"][0]["size"] == len(layer.blob)


def test_locks_name_every_package_that_is_wanted() -> None:
    assert [package.name for package in debian.locked()] == debian.wanted()
    rows = [row for row in python.LOCK.read_text().splitlines() if not row.startswith("#")]
    assert all("==" in row and " --hash=sha256:" in row for row in rows)
    names = {row.partition("==")[0] for row in rows}
    assert not names & set(python.left_out("package"))


@pytest.mark.parametrize(
    ("path", "dropped"),
    [
        ("usr/share/doc/libc6/copyright", False),
        ("usr/share/doc/libc6/changelog.gz", True),
        ("usr/lib/python3.11/test/support.py", True),
        ("usr/lib/python3.11/ssl.py", False),
        ("usr/lib/x86_64-linux-gnu/libbpf.so.1.1.2", False),
    ],
)
def test_what_is_dropped(path: str, dropped: bool) -> None:
    assert debian._dropped(path) is dropped


def test_a_bill_of_materials(tmp_path: Path) -> None:
    info = tmp_path / python.HOME / "click-8.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Name: click\nVersion: 8.1\nLicense-Expression: BSD-3-Clause\n")
    packages = [debian.Package("libc6", "2.36-9", "0" * 64)]
    document = json.loads(sbom.make([tmp_path], packages, "keelwatch", "1"))
    found = {part["purl"]: part["licenses"] for part in document["components"]}
    assert found == {
        "pkg:deb/debian/libc6@2.36-9?arch=amd64&distro=debian-12": [],
        "pkg:pypi/click@8.1": [{"expression": "BSD-3-Clause"}],
    }
    assert sbom.make([tmp_path], packages, "keelwatch", "1") == sbom.make(
        [tmp_path], packages, "keelwatch", "1"
    )


DOCKERFILE = (debian.HERE / "Dockerfile").read_text().replace("\\\n", " ")


def instructions(stage: int) -> dict[str, str]:
    """What a stage of the Dockerfile says, by instruction; the last of each counts."""
    text = re.split(r"^(?=FROM )", DOCKERFILE, flags=re.MULTILINE)[stage]
    return dict(line.split(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))


def pairs(text: str) -> dict[str, str]:
    return dict(word.split("=", 1) for word in shlex.split(text))


def test_the_dockerfile_configures_the_image_as_the_build_does() -> None:
    said = instructions(2)
    assert pairs(said["ENV"]) == dict(one.split("=", 1) for one in image.CONFIG["Env"])
    assert pairs(said["LABEL"]) == image.CONFIG["Labels"]
    assert json.loads(said["ENTRYPOINT"]) == image.CONFIG["Entrypoint"]
    assert (said["USER"], said["WORKDIR"]) == (image.CONFIG["User"], image.CONFIG["WorkingDir"])


def test_the_dockerfiles_base_can_be_pinned_and_lends_tools_only() -> None:
    assert instructions(0) == {"ARG": "BASE=debian:12-slim"}
    assert instructions(1)["FROM"] == "--platform=linux/amd64 ${BASE} AS build"
    assert instructions(2)["FROM"] == "--platform=linux/amd64 scratch"
    assert instructions(2)["COPY"] == "--from=build /image/ /"


def test_the_dockerfiles_build_tools_are_the_projects() -> None:
    tools = dict(re.findall(r"(\w+)==([\d.]+)", DOCKERFILE))
    project = tomllib.loads((python.PROJECT / "pyproject.toml").read_text())
    wanted = project["build-system"]["requires"]
    assert {name.partition("==")[0] for name in wanted} <= tools.keys()
    assert f"ziglang=={tools['ziglang']}" in wanted
