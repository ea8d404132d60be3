"""Content examination on real files laid out as an overlay's layers are."""

import hashlib
import os
from pathlib import Path

import pytest

from keelwatch.enrich.content import Examiner, Layers, in_image
from keelwatch.model.event import Event
from keelwatch.model.identity import Identity
from keelwatch.model.process import Process

NO_PID = 2**22 + 1  # above pid_max: no such process, so only the layers are read


@pytest.fixture
def layers(tmp_path):
    for name in ("upper/bin", "lower/bin"):
        (tmp_path / name).mkdir(parents=True)
    return Layers(str(tmp_path / "upper"), (str(tmp_path / "lower"),))


def run_of(path, **more):
    return Event(
        time=1, kind="exec", type="execve", result=0, process=Process(pid=NO_PID, start=1),
        identity=Identity(container_id="a"), path=path, upper=True, **more,
    )  # fmt: skip


def put(layer, path, content):
    Path(layer + path).write_bytes(content)


def examine(layers, path, **more):
    return Examiner(1 << 20).examine(run_of(path, **more), layers, overlay=True, written=True)


def test_a_file_the_image_does_not_have_is_new(layers):
    put(layers.upper, "/bin/x", b"evil")
    found = examine(layers, "/bin/x")
    assert (found.drift, found.size) == ("new", 4)
    assert found.sha256 == hashlib.sha256(b"evil").hexdigest()


def test_a_copied_up_file_with_the_images_content_is_the_images(layers):
    put(layers.upper, "/bin/x", b"same")
    put(layers.lower[0], "/bin/x", b"same")
    assert examine(layers, "/bin/x").drift == "image"


@pytest.mark.parametrize("content", [b"diff", b"longer than before"])
def test_other_content_than_the_images_is_changed(layers, content):
    put(layers.upper, "/bin/x", content)
    put(layers.lower[0], "/bin/x", b"same")
    assert examine(layers, "/bin/x").drift == "changed"


def test_a_file_that_is_gone_is_gone(layers):
    assert examine(layers, "/bin/x") == type(examine(layers, "/bin/x"))("gone")


def test_no_link_is_followed_out_of_the_container(layers):
    Path(layers.upper, "bin/x").symlink_to("/etc/hostname")
    Path(layers.upper, "d").symlink_to("/etc")
    assert examine(layers, "/bin/x").drift == "gone"
    assert examine(layers, "/d/hostname").drift == "gone"
    assert examine(layers, "/bin/../../../../../../../etc/hostname").drift == "gone"


def test_a_fifo_does_not_block_the_thread(layers):
    os.mkfifo(layers.upper + "/bin/x")
    assert examine(layers, "/bin/x").drift == "gone"


def test_beyond_the_size_limit_there_is_no_hash_but_still_a_verdict(layers):
    put(layers.upper, "/bin/x", b"x" * 100)
    found = Examiner(10).examine(run_of("/bin/x"), layers, overlay=True, written=True)
    assert (found.drift, found.sha256, found.size) == ("new", "", 100)


def test_a_volumes_file_is_new_only_where_its_writer_was_seen():
    layers = Layers()
    for written, drift in ((True, "new"), (False, "volume")):
        assert Examiner(10).examine(run_of("/data/x"), layers, overlay=False, written=written).drift == drift


def test_in_image(layers):
    put(layers.lower[0], "/bin/x", b"")
    assert in_image("/bin/x", layers)
    assert not in_image("/bin/y", layers)
