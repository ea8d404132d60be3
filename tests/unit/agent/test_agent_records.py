"""Rows say what happened: of a script, the script is the file and the interpreter the program."""

from keelwatch.agent.records import event_row
from keelwatch.model.event import Event
from keelwatch.model.identity import Identity
from keelwatch.model.process import Process


def exec_of(script: str = "") -> dict:
    process = Process(pid=2, start=1, comm="x", exe="/bin/busybox", script=script)
    event = Event(0, "exec", "execve", 0, process, Identity(), path="/bin/busybox", path_source="kernel")
    event.inode, event.mode, event.upper = 7, 0o755, True
    return event_row(event)


def test_the_file_of_a_script_is_the_script():
    row = exec_of("/usr/local/bin/check")
    assert (row["path"], row["path_source"], row["exe"]) == ("/usr/local/bin/check", "user", "/bin/busybox")
    assert (row["inode"], row["mode"], row["upper"]) == (0, 0, 0), "these are the interpreter's"


def test_the_file_of_a_program_is_the_program():
    row = exec_of()
    assert (row["path"], row["path_source"], row["inode"], row["upper"]) == ("/bin/busybox", "kernel", 7, 1)
