"""An API server with its etcd and nothing else: objects exist, but nobody acts on them.

Made of the programs that lab/cluster/build leaves in /opt/kubernetes/bin, on ports of its own.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson
import urllib3
import yaml

from lab.stack import free_port

PROGRAMS = Path(os.environ.get("KUBE_BIN", "/opt/kubernetes/bin"))
START_SECONDS = 120.0
TOKEN = "bench"
CONNECTIONS = 64


def missing() -> str:
    """What is missing to start one, or ""."""
    absent = [name for name in ("etcd", "kube-apiserver") if not (PROGRAMS / name).exists()]
    return f"not built: {', '.join(absent)}: lab/cluster/build makes them" if absent else ""


class ControlPlane:
    """etcd and kube-apiserver; everyone with the token may do everything."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="keelwatch-control-plane-")
        self.folder = Path(self._folder.name)
        self.kubeconfig = self.folder / "kubeconfig"
        self._port = free_port()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._http = urllib3.PoolManager(
            maxsize=CONNECTIONS, block=True, retries=False, cert_reqs="CERT_NONE"
        )

    def __enter__(self) -> Self:
        """Start both; return when the API server is ready."""
        urllib3.disable_warnings()  # its certificate is its own, made at this start
        self._write()
        client, peer = free_port(), free_port()
        store = ("--data-dir", self.folder / "etcd", "--unsafe-no-fsync", "--log-level", "warn")
        etcd = f"http://127.0.0.1:{client}"
        where = ("--listen-client-urls", etcd, "--advertise-client-urls", etcd)
        self._run("etcd", *store, *where, "--listen-peer-urls", f"http://127.0.0.1:{peer}")
        self._run("kube-apiserver", *self._arguments(etcd))
        self._wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in reversed(self._processes):
            process.kill()
            process.wait(30)
        self._folder.cleanup()

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """The JSON answer; raise RuntimeError for a refusal."""
        patch = "application/strategic-merge-patch+json"
        headers = {
            "Authorization": f"Bearer {TOKEN}",
            "Content-Type": patch if method == "PATCH" else "application/json",
        }
        url = f"https://127.0.0.1:{self._port}{path}"
        answer = self._http.request(method, url, body=orjson.dumps(body) if body else None, headers=headers)
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {answer.data[:300]!r}")
        found: dict[str, Any] = orjson.loads(answer.data)
        return found

    def _write(self) -> None:
        for arguments in (
            ["genrsa", "-out", "sa.key", "2048"],
            ["rsa", "-in", "sa.key", "-pubout", "-out", "sa.pub"],
        ):
            subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)
        (self.folder / "tokens.csv").write_text(f'{TOKEN},bench,bench,"system:masters"\n')
        cluster = {"server": f"https://127.0.0.1:{self._port}", "insecure-skip-tls-verify": True}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "bench", "cluster": cluster}],
            "users": [{"name": "bench", "user": {"token": TOKEN}}],
            "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
            "current-context": "bench",
        }
        self.kubeconfig.write_text(yaml.safe_dump(config))

    def _arguments(self, etcd: str) -> list[str]:
        folder = self.folder
        return [
            f"--etcd-servers={etcd}",
            f"--secure-port={self._port}",
            "--bind-address=127.0.0.1",
            f"--cert-dir={folder}/certificates",
            f"--token-auth-file={folder}/tokens.csv",
            "--authorization-mode=RBAC",
            "--service-account-issuer=bench",
            f"--service-account-key-file={folder}/sa.pub",
            f"--service-account-signing-key-file={folder}/sa.key",
            "--service-cluster-ip-range=10.97.0.0/16",
            "--disable-admission-plugins=ServiceAccount",  # nobody makes accounts here
            "--max-requests-inflight=0",  # the benchmark fills it as fast as it goes
            "--enable-priority-and-fairness=false",
        ]

    def _run(self, program: str, *arguments: str | Path) -> None:
        command: list[str | Path] = [PROGRAMS / program, *arguments]
        with (self.folder / f"{program}.log").open("wb") as log:
            self._processes.append(subprocess.Popen(command, stdout=log, stderr=log))

    def _wait(self) -> None:
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                self.request("GET", "/api/v1/namespaces/default")
            except (OSError, urllib3.exceptions.HTTPError, RuntimeError) as error:
                if time.monotonic() > end or any(process.poll() is not None for process in self._processes):
                    log = (self.folder / "kube-apiserver.log").read_text(errors="replace")[-2000:]
                    raise RuntimeError(f"the API server did not start:\n{log}") from error
            else:
                return
            time.sleep(0.5)
