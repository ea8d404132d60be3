"""File provenance: who wrote a file, who made it executable, and the story told when it is run.

Files are known by (device, inode) where the kernel had the object, and by (container, path), since
a chmod or rename by path leaves no object to read. Both indexes are bounded; the oldest go first.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from keelwatch.kit.clock import iso
from keelwatch.kit.lru import LRU
from keelwatch.model.event import Event, Story
from keelwatch.model.process import Process

MAX_FILES = 20_000
MAX_WRITERS = 4
EXEC_BITS = 0o111


@dataclass(slots=True)
class Step:
    """Something a process did to a file: `how` is "opened", "inherited", "renamed" or "chmod"."""

    time: int
    how: str
    process: Process
    path: str

    def columns(self) -> dict[str, Any]:
        """The step as the story shows it."""
        return {"time": iso(self.time), "how": self.how, "path": self.path, **self.process.summary()}


@dataclass(slots=True)
class _File:
    writers: list[Step] = field(default_factory=list)
    chmod: Step | None = None
    renamed: Step | None = None


class FileHistory:
    """What is known of the files written in containers. One pipeline owns it."""

    def __init__(self, limit: int = MAX_FILES) -> None:
        self._by_inode = LRU[tuple[int, int], _File](limit)
        self._by_path = LRU[tuple[str, str], _File](limit)

    def record(self, event: Event) -> None:
        """Remember what a successful file event says about its file."""
        if event.result < 0 and event.kind != "inherit":
            return
        match event.kind:
            case "open" | "inherit":
                self._written(event)
            case "chmod" if event.mode & EXEC_BITS:
                self._file(event, event.path).chmod = _step(event, "chmod")
            case "rename" | "link":
                self._moved(event)
            case "unlink":
                self._by_path.pop((event.process.container_id, event.path), None)

    def written_in_container(self, event: Event) -> bool:
        """Whether a writer of the file behind an exec event was seen."""
        found = self._find(event)
        return found is not None and bool(found.writers)

    def story(self, event: Event) -> Story:
        """Tell how the file that `event` (an exec) runs came to be; its content is told later."""
        known = self._find(event) or _File()
        writer = _writer(known)
        ran = _step(event, "exec")
        return Story(
            sentence=_sentence(event, known, writer),
            path=subject(event),
            writer=writer.columns() if writer else None,
            writer_ancestors=[p.summary() for p in writer.process.lineage()] if writer else [],
            chmod=known.chmod.columns() if known.chmod else None,
            executor=ran.columns(),
        )

    def _written(self, event: Event) -> None:
        file = self._file(event, event.path)
        if event.created:
            file.writers.clear()
            file.chmod = None
        if event.created and event.mode & EXEC_BITS:
            file.chmod = _step(event, "created executable")
        file.writers.append(_step(event, "inherited" if event.kind == "inherit" else "opened"))
        del file.writers[:-MAX_WRITERS]

    def _moved(self, event: Event) -> None:
        container = event.process.container_id
        file = self._by_path.get((container, event.old_path))
        if file is None and event.inode:
            file = self._by_inode.get((event.device, event.inode))
        if file is None:
            return
        file.renamed = _step(event, event.kind)
        self._by_path[container, event.path] = file
        if event.kind == "rename":
            self._by_path.pop((container, event.old_path), None)

    def _find(self, event: Event) -> _File | None:
        if not event.process.script and event.inode:
            found = self._by_inode.get((event.device, event.inode))
            if found is not None:
                return found
        return self._by_path.get((event.process.container_id, subject(event)))

    def _file(self, event: Event, path: str) -> _File:
        key = (event.device, event.inode)
        by_path = (event.process.container_id, path)
        file = (self._by_inode.get(key) if event.inode else None) or self._by_path.get(by_path) or _File()
        if event.inode:
            self._by_inode[key] = file
        self._by_path[by_path] = file
        return file


def subject(event: Event) -> str:
    """The file that an exec is about: the script, where there is one, else the program."""
    return event.process.script or event.path


def with_content(story: Story, content: str) -> Story:
    """Add what the examination of the file found."""
    return replace(story, content=content, sentence=story.sentence + _CONTENT_WORDS.get(content, ""))


def _step(event: Event, how: str) -> Step:
    return Step(event.time, how, event.process, event.path)


def _writer(file: _File) -> Step | None:
    """The last to be handed the file for writing: an inheritor wrote, the opener only redirected."""
    return file.writers[-1] if file.writers else None


def _sentence(event: Event, file: _File, writer: Step | None) -> str:
    origin = "was kept in memory only" if event.memfd else _written_by(file, writer)
    parts = [f"{subject(event)} {origin}"]
    if file.renamed is not None:
        parts.append(f"moved there by {_who(file.renamed)}")
    if file.chmod is not None:
        parts.append(f"made executable by {_who(file.chmod)}")
    parts.append(f"and run by {_who(_runner(event))}")
    return ", ".join(parts[:-1]) + " " + parts[-1] + "."


def _written_by(file: _File, writer: Step | None) -> str:
    if writer is None:
        return "was written by a process that is not known"
    words = f"was written by {_who(writer)}"
    opener = next((w for w in file.writers if w.how == "opened"), None)
    if writer.how == "inherited" and opener is not None:
        words += f", whose output {opener.process.comm} (pid {opener.process.pid}) had redirected to it"
    return words


def _runner(event: Event) -> Step:
    process = event.process
    return Step(event.time, "exec", process.previous or process.parent or process, event.path)


def _who(step: Step) -> str:
    process = step.process
    return f"{process.comm} (pid {process.pid}, uid {process.uid}) at {iso(step.time)[11:23]}"


_CONTENT_WORDS = {
    "new": " The image does not have this file.",
    "changed": " The image has another file of this name.",
    "gone": " The file was gone before its content could be read.",
    "volume": " It lies on a volume, outside the image.",
}
