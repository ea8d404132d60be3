"""The demo's attack: what an intruder does in a container, for real, with names drawn at random.

Nothing in keelwatch knows these names; `Step.path` tells a demo or a test what to look for.
"""

from __future__ import annotations

from dataclasses import dataclass

from lab.pod import Pod, random_name

IMAGE_FILE = "/usr/local/bin/healthcheck"
REFUSED = 1
"""toolbox ends with the errno: EPERM, for the container has no CAP_SYS_ADMIN."""


@dataclass(frozen=True)
class Step:
    """One act. `path` is the file it is about, "" when there is none."""

    name: str
    title: str
    script: str
    path: str = ""
    exit_codes: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class Outcome:
    """What came of a step; `ok` when it ended as it should."""

    step: Step
    code: int
    output: str

    @property
    def ok(self) -> bool:
        return self.code in self.step.exit_codes


def steps() -> list[Step]:
    """The attack's steps, in order, with new names."""
    dropped, hidden, user = f"/tmp/{random_name(8)}", random_name(8), random_name(6)
    return [
        Step(
            "new-binary",
            "copy a program in (a shell redirection writes it), make it executable, run it",
            f"cat /usr/local/bin/toolbox > {dropped}; chmod +x {dropped}; {dropped} sleep 0",
            dropped,
        ),
        Step(
            "memfd",
            "run a program that is in no file system",
            f"toolbox memfd /usr/local/bin/toolbox {hidden} sleep 0",
            f"memfd:{hidden}",
        ),
        Step(
            "modified-file",
            "overwrite a program that the image brought, and run it",
            f"printf '#!/bin/sh\\necho {random_name(8)}\\n' > {IMAGE_FILE}; {IMAGE_FILE}",
            IMAGE_FILE,
        ),
        Step(
            "account",
            "add an account with root's rights",
            f"echo '{user}::0:0::/root:/bin/sh' >> /etc/passwd",
            "/etc/passwd",
        ),
        Step(
            "namespace",
            "try to enter the namespaces of another process",
            "toolbox setns 1 mnt",
            exit_codes=(REFUSED,),
        ),
        Step(
            "unshare",
            "try to make a mount namespace of its own",
            "toolbox unshare mnt",
            exit_codes=(0, REFUSED),
        ),
    ]


def run(pod: Pod, container: str | None = None) -> list[Outcome]:
    """Do all steps in one container of the pod, each as an exec of its own."""
    name = container or pod.container.name
    return [_do(pod, name, step) for step in steps()]


def _do(pod: Pod, container: str, step: Step) -> Outcome:
    code, out, err = pod.exec(container, ["/bin/sh", "-c", step.script])
    return Outcome(step, code, (out + err).decode(errors="replace").strip())
