"""Content examination on real files laid out as an overlay's layers are."""

import errno
import hashlib
import os
from pathlib import Path

import pytest

from keelwatch.enrich.drift import Examiner, Layers, in_image
from keelwatch.enrich.layers import resolve
from keelwatch.kit import clock, rooted
from keelwatch.model.event import Event
from keelwatch.model.identity import Identity
from keelwatch.model.process import Process

NO_PID = 2**22 + 1  # above pid_max: no such process, so only the layers are read


@pytest.fixture
def layers(tmp_path):
    for name in ("upper/bin", "lower/bin"):
        (tmp_path / name).mkdir(parents=True)
    return Layers(str(tmp_path / "upper"), (str(tmp_path / "lower"),))


def run_of(path, script="", time=0, **more):
    process = Process(pid=NO_PID, start=1, script=script)
    return Event(
        time=time or clock.now(), kind="exec", type="execve", result=0, process=process,
        identity=Identity(container_id="a"), path=path, upper=True, **more,
    )  # fmt: skip


def seen(file):
    """What the sensor reads of a file when it is run."""
    found = Path(file).stat()
    return {"size": found.st_size, "mtime": found.st_mtime_ns, "ctime": found.st_ctime_ns}


def put(layer, path, content):
    Path(layer + path).write_bytes(content)


def examine(layers, path, **more):
    here = Path(layers.upper + path)
    facts = seen(here) if here.is_file() and not here.is_symlink() else {}
    return Examiner(1 << 20).examine(run_of(path, **facts | more), layers, overlay=True, written=True)


def examine_script(layers, path, written=False, **more):
    event = run_of("/bin/sh", script=path, **more)
    return Examiner(1 << 20).examine(event, layers, overlay=True, written=written).drift


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
    event = run_of("/bin/x", **seen(layers.upper + "/bin/x"))
    found = Examiner(10).examine(event, layers, overlay=True, written=True)
    assert (found.drift, found.sha256, found.size) == ("new", "", 100)


def test_a_volumes_file_is_new_only_where_its_writer_was_seen():
    layers = Layers()
    for written, drift in ((True, "new"), (False, "volume")):
        assert Examiner(10).examine(run_of("/data/x"), layers, overlay=False, written=written).drift == drift


def test_in_image(layers):
    put(layers.lower[0], "/bin/x", b"")
    assert in_image("/bin/x", layers)
    assert not in_image("/bin/y", layers)


def test_a_file_put_in_the_place_of_the_one_that_ran_is_not_taken_for_it(layers):
    put(layers.lower[0], "/bin/x", b"good")
    put(layers.upper, "/bin/x", b"evil")
    ran = seen(layers.upper + "/bin/x")
    put(layers.upper, "/bin/x", b"good")
    os.utime(layers.upper + "/bin/x", ns=(ran["mtime"], ran["mtime"]))
    assert examine(layers, "/bin/x").drift == "image"
    assert examine(layers, "/bin/x", **ran).drift == "gone"


def test_a_script_changed_after_its_start_is_not_taken_for_what_ran(layers):
    put(layers.lower[0], "/bin/x", b"good")
    put(layers.upper, "/bin/x", b"good")
    assert examine_script(layers, "/bin/x") == "image"
    before = clock.now() - 10**9
    assert examine_script(layers, "/bin/x", time=before) == "gone"


def test_a_script_of_the_image_is_found_when_its_process_has_ended(layers):
    put(layers.lower[0], "/bin/x", b"good")
    assert examine_script(layers, "/bin/x") == "image"
    assert examine_script(layers, "/bin/x", written=True) == "gone"


@pytest.mark.root
def test_a_script_deleted_after_its_run_is_gone_though_the_image_had_one(layers):
    put(layers.lower[0], "/bin/x", b"good")
    os.mknod(layers.upper + "/bin/x", 0o020000, os.makedev(0, 0))  # a whiteout
    assert examine_script(layers, "/bin/x") == "gone"


@pytest.mark.parametrize("target", ["/usr/bin", "usr/bin", "../../usr/bin"])
def test_a_script_through_a_linked_folder_is_the_file_behind_it(layers, target):
    for layer in (layers.upper, *layers.lower):
        Path(layer, "usr/bin").mkdir(parents=True)
    Path(layers.lower[0], "sbin").symlink_to(target)
    put(layers.lower[0], "/usr/bin/x", b"good")
    assert in_image("/sbin/x", layers)
    assert examine_script(layers, "/sbin/x") == "image"
    put(layers.upper, "/usr/bin/x", b"evil")
    assert examine_script(layers, "/sbin/x") == "changed"
    put(layers.upper, "/usr/bin/y", b"evil")
    assert examine_script(layers, "/sbin/y") == "new"


def test_no_link_leads_to_the_nodes_files(layers):
    Path(layers.lower[0], "d").symlink_to("/etc")
    Path(layers.lower[0], "x").symlink_to("/etc/hostname")
    Path(layers.upper, "u").symlink_to("/etc")
    assert not in_image("/d/hostname", layers)
    assert not in_image("/u/hostname", layers)
    assert examine_script(layers, "/d/hostname") == "gone"
    assert examine_script(layers, "/x") == "gone"
    assert resolve("/u/../d/../../hostname", layers) == "/hostname"


def test_the_topmost_layer_says_where_a_link_leads(layers):
    Path(layers.lower[0], "a").symlink_to("/bin")
    put(layers.lower[0], "/bin/x", b"")
    assert resolve("/a/x", layers) == "/bin/x"
    Path(layers.upper, "a").mkdir()
    assert resolve("/a/x", layers) == "/a/x"


def test_links_without_an_end_end(layers):
    Path(layers.lower[0], "a").symlink_to("b")
    Path(layers.lower[0], "b").symlink_to("a")
    Path(layers.lower[0], "c").symlink_to("c/c/c/c")
    assert resolve("/a/x", layers) == "/a/x"
    assert resolve("/c/x", layers) == "/c/x"


def test_without_openat2_no_link_is_followed(layers, monkeypatch):
    monkeypatch.setattr(rooted, "_call", lambda *_: -errno.ENOSYS)
    put(layers.lower[0], "/bin/x", b"good")
    Path(layers.lower[0], "d").symlink_to("/etc")
    root = rooted.folder(layers.lower[0])
    os.close(rooted.open_regular(root, "/bin/x"))
    for path in ("/d/hostname", "/bin/../bin/x", "/bin", "/bin/x/y", "/nothing"):
        with pytest.raises(OSError, match="Errno"):
            rooted.open_regular(root, path)
    os.close(root)
    assert in_image("/bin/x", layers)
    assert not in_image("/d/hostname", layers)


def test_the_quick_look_says_what_the_long_one_says(layers):
    """The long one walks each path part by part, and is what the quick one must not differ from."""
    lower = layers.lower[0]
    Path(lower, "usr/bin").mkdir(parents=True)
    put(lower, "/usr/bin/x", b"")
    Path(lower, "sbin").symlink_to("usr/bin")
    Path(lower, "bin/l").symlink_to("/nowhere")
    Path(layers.upper, "tmp").mkdir()
    Path(layers.upper, "tmp/l").symlink_to("/usr/bin")
    paths = {
        "/usr/bin/x": True, "/sbin/x": True, "/tmp/l/x": True, "/bin/l": True, "/bin/l/x": False,
        "/usr/bin/x/y": False, "/tmp/x": False, "/usr/../usr/bin/x": True, "/usr/bin/..": True, "/": True,
        "/tmp/l/../bin/x": True, "/a\0b": False,
    }  # fmt: skip
    assert {path: in_image(path, layers) for path in paths} == paths
    open_before = len(list(Path("/proc/self/fd").iterdir()))
    for path in paths:
        in_image(path, layers)
    assert len(list(Path("/proc/self/fd").iterdir())) == open_before
