"""File provenance: the story of a file, from its writer to the process that ran it."""

from keelwatch.enrich.provenance import FileHistory, with_content
from keelwatch.model.event import Event
from keelwatch.model.identity import Identity
from keelwatch.model.process import Process

CONTAINER = "ab" * 32
SH = Process(pid=1, start=1, comm="sh", exe="/bin/sh", container_id=CONTAINER)


def process(comm, pid, parent=SH):
    return Process(pid=pid, start=pid, comm=comm, exe=f"/bin/{comm}", parent=parent, container_id=CONTAINER)


def event(kind, who, path, *, time=1_700_000_000_000_000_000, **more):
    fields = dict(
        time=time, kind=kind, type=kind, result=0, process=who, identity=Identity(container_id=CONTAINER),
        path=path, device=5, inode=77,
    )  # fmt: skip
    return Event(**(fields | more))


def test_the_writer_is_who_inherited_the_descriptor_not_who_opened_it():
    history = FileHistory()
    history.record(event("open", SH, "/tmp/x", created=True, mode=0o100644))
    history.record(event("inherit", process("cat", 2), "/tmp/x"))
    history.record(event("chmod", process("chmod", 3), "/tmp/x", mode=0o755, inode=0, device=0))
    story = history.story(event("exec", process("x", 4), "/tmp/x"))
    assert story.writer["name"] == "cat"
    assert story.writer["how"] == "inherited"
    assert story.chmod["name"] == "chmod"
    assert story.executor["pid"] == 4
    assert [p["name"] for p in story.writer_ancestors] == ["sh"]
    assert "written by cat (pid 2" in story.sentence
    assert "whose output sh (pid 1) had redirected" in story.sentence
    assert "made executable by chmod (pid 3" in story.sentence


def test_an_unknown_writer_is_said_to_be_unknown():
    story = FileHistory().story(event("exec", process("x", 4), "/opt/x"))
    assert story.writer is None
    assert "was written by a process that is not known" in story.sentence


def test_a_rename_moves_the_history_along():
    history = FileHistory()
    history.record(event("open", process("wget", 2), "/tmp/x.part", created=True, inode=9))
    history.record(event("rename", process("mv", 3), "/tmp/x", old_path="/tmp/x.part", inode=0, device=0))
    story = history.story(event("exec", process("x", 4), "/tmp/x", inode=0, device=0))
    assert story.writer["name"] == "wget"
    assert "moved there by mv" in story.sentence


def test_a_failed_open_wrote_nothing():
    history = FileHistory()
    history.record(event("open", process("thief", 2), "/tmp/x", result=-13))
    assert not history.written_in_container(event("exec", process("x", 4), "/tmp/x"))


def test_a_file_made_anew_forgets_who_wrote_the_one_before():
    history = FileHistory()
    history.record(event("open", process("old", 2), "/tmp/x", created=True, inode=1))
    history.record(event("open", process("new", 3), "/tmp/x", created=True, inode=2))
    assert history.story(event("exec", process("x", 4), "/tmp/x", inode=2)).writer["name"] == "new"


def test_the_indexes_are_bounded():
    history = FileHistory(limit=10)
    for n in range(1, 100):
        history.record(event("open", SH, f"/tmp/{n}", created=True, inode=n))
    assert history.story(event("exec", process("x", 4), "/tmp/99", inode=99)).writer is not None
    assert history.story(event("exec", process("x", 4), "/tmp/1", inode=1)).writer is None


def test_content_is_added_in_words():
    story = with_content(FileHistory().story(event("exec", process("x", 4), "/opt/x")), "new")
    assert story.content == "new"
    assert story.sentence.endswith("The image does not have this file.")
