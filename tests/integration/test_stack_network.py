"""Hub and agent apart: two network namespaces joined by a virtual cable, TLS with an authority of our own."""

from __future__ import annotations

import datetime
import ipaddress
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lab import Kubelet
from lab.pod import random_name
from tests.stack_support import (
    PROGRAM,
    each_once,
    eventually,
    generator,
    keelwatch,
    missing_for_stack,
    numbers,
    random_deployment,
)

pytestmark = [pytest.mark.root, pytest.mark.sensor, pytest.mark.containers]
HUB, AGENT, PORT = "10.213.7.1", "10.213.7.2", 8470


class Authority:
    """A certificate authority with its file `pem`, as a company has one of its own."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._certificate = self._sign(self._name, self._key.public_key(), ca=True)
        self.pem = folder / f"{name}.pem"
        self.pem.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, address: str) -> tuple[Path, Path]:
        """Files of a certificate for this address, and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hub")])
        signed = self._sign(name, key.public_key(), ca=False, address=address)
        certificate, key_file = self.folder / f"{address}.pem", self.folder / f"{address}.key"
        certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return certificate, key_file

    def _sign(
        self, name: x509.Name, key: ec.EllipticCurvePublicKey, *, ca: bool, address: str = ""
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        usage = x509.KeyUsage(True, False, False, False, False, ca, ca, False, False)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca, None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        )
        if address:
            names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self._key, hashes.SHA256())


class Side:
    """One of the two network namespaces, and what was started in it."""

    def __init__(self, name: str, log: Path) -> None:
        self.name = name
        self.log = log
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            command = ["ip", "netns", "exec", self.name, *PROGRAM, *arguments]
            self._started.append(subprocess.Popen(command, stdout=log, stderr=log))
        return self._started[-1]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "NO_COLOR": "1"}
        command = ["ip", "netns", "exec", self.name, *PROGRAM, *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)

    def stop(self) -> None:
        for process in reversed(self._started):
            if process.poll() is None:
                process.terminate()
                process.wait(60)


class Cable:
    """`hub` and `agent` on the two ends; what both need lies in `directory`."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="keelwatch-net-"))
        tag = random_name(5)
        self.hub = Side(f"kwhub-{tag}", self.directory / "hub.log")
        self.agent = Side(f"kwagent-{tag}", self.directory / "agent.log")
        self.ours, self.theirs = (Authority(self.directory, name) for name in ("ours", "theirs"))

    def connect(self) -> None:
        one, other = f"kwa{self.hub.name[-5:]}", f"kwb{self.hub.name[-5:]}"
        for side in (self.hub, self.agent):
            _ip("netns", "add", side.name)
        _ip("link", "add", one, "type", "veth", "peer", "name", other)
        for side, link, address in ((self.hub, one, HUB), (self.agent, other, AGENT)):
            _ip("link", "set", link, "netns", side.name)
            _ip("-n", side.name, "addr", "add", f"{address}/24", "dev", link)
            _ip("-n", side.name, "link", "set", link, "up")
            _ip("-n", side.name, "link", "set", "lo", "up")

    def close(self) -> None:
        for side in (self.agent, self.hub):
            side.stop()
            with suppress(subprocess.CalledProcessError):
                _ip("netns", "del", side.name)
        shutil.rmtree(self.directory, ignore_errors=True)

    def start_hub(self) -> None:
        certificate, key = self.ours.issue(HUB)
        where = ["--listen", f"{HUB}:{PORT}", "--data", str(self.directory / "hub")]
        tokens = ["--admin-token-file", self.file("login"), "--agent-token-file", self.file("token")]
        self.hub.start("hub", *where, *tokens, "--tls-cert", str(certificate), "--tls-key", str(key))
        eventually(lambda: self.status(self.ours).returncode == 0, "the hub does not serve")

    def status(self, authority: Authority) -> subprocess.CompletedProcess[str]:
        return self.agent.run("status", *self.where(authority))

    def agent_options(self, authority: Authority, name: str) -> list[str]:
        where = ["--hub", f"https://{HUB}:{PORT}", "--ca-file", str(authority.pem)]
        own = ["--data", self.file(name), "--node", name, "--metrics-listen", "", "--token-file"]
        return ["agent", *where, *own, self.file("token")]

    def logs(self, namespace: str) -> list[dict[str, str]]:
        done = self.agent.run("logs", "-n", namespace, "-o", "json", *self.where(self.ours))
        return [json.loads(line) for line in done.stdout.splitlines()]

    def file(self, name: str) -> str:
        return str(self.directory / name)

    def where(self, authority: Authority) -> list[str]:
        if not (self.directory / "login").exists():
            return ["--hub", f"https://{HUB}:{PORT}", "--ca-file", str(authority.pem)]
        token = ["--token-file", self.file("login")]
        return ["--hub", f"https://{HUB}:{PORT}", "--ca-file", str(authority.pem), *token]


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@pytest.fixture(scope="module")
def cable() -> Iterator[Cable]:
    if missing := missing_for_stack():
        pytest.skip(f"no whole stack here: {missing}")
    if not shutil.which("ip"):
        pytest.skip("not installed: apt-get install iproute2")
    cable = Cable()
    try:
        cable.connect()
        cable.start_hub()
        yield cable
    finally:
        cable.close()


def test_an_agent_ships_over_tls_from_another_network(cable: Cable, kubelet: Kubelet) -> None:
    cable.agent.start(*cable.agent_options(cable.ours, "trusting"))
    [pod] = kubelet.run_deployment(random_deployment(1, generator("line", 200, "-r", "200")))
    eventually(
        lambda: sum(numbers(cable.logs(pod.namespace), "line").values()) >= 200, cable.agent.log.read_text()
    )
    rows = cable.logs(pod.namespace)
    assert each_once(rows, "line", 200)
    assert {row["node"] for row in rows} == {"trusting"}


def test_an_agent_does_not_talk_to_a_hub_of_another_authority(cable: Cable) -> None:
    """Not one request: the token would be in it."""
    before = cable.agent.log.stat().st_size if cable.agent.log.exists() else 0
    process = cable.agent.start(*cable.agent_options(cable.theirs, "wary"), "--no-sensor", "--no-logs")

    def said() -> str:
        return cable.agent.log.read_text()[before:]

    eventually(lambda: "CERTIFICATE_VERIFY_FAILED" in said(), "it did not say that the certificate is wrong")
    assert process.poll() is None, "its records wait in the spool meanwhile"
    done = cable.agent.run("status", *cable.where(cable.ours), "-o", "json")
    assert "wary" not in done.stdout
    assert done.returncode == 0
    assert cable.status(cable.theirs).returncode != 0


def test_a_hub_refuses_to_listen_off_loopback_without_tls(cable: Cable) -> None:
    done = cable.hub.run("hub", "--listen", f"{HUB}:9999", "--data", cable.file("plain"))
    assert done.returncode == 2
    assert "--tls-cert" in done.stderr
    assert not Path(cable.file("plain")).exists()


@pytest.mark.parametrize("hub", [f"http://{HUB}:{PORT}", "http://hub.example"])
def test_an_agent_refuses_plain_http_off_loopback(cable: Cable, hub: str) -> None:
    done = cable.agent.run("agent", "--hub", hub, "--data", cable.file("refused"))
    assert done.returncode == 2
    assert "unencrypted" in done.stderr
    assert "https://" in done.stderr
    assert not Path(cable.file("refused")).exists()


def test_the_commands_do_not_send_a_token_unencrypted_either(cable: Cable) -> None:
    done = keelwatch("status", "--hub", f"http://{HUB}:{PORT}", "--token-file", cable.file("login"))
    assert done.returncode != 0
    assert "https" in done.stderr
