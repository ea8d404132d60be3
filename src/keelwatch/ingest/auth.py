"""Who may do what: tokens with a role, kept as hashes.

Tokens are 256 random bits, so a plain SHA-256 of them cannot be searched; nothing is gained by a
slow hash. Every token is compared in constant time.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import orjson

Role: TypeAlias = Literal["agent", "audit", "viewer", "analyst", "admin"]
"""`agent` sends records, `audit` is the API server's audit webhook; the others read."""
ROLES: tuple[Role, ...] = ("agent", "audit", "viewer", "analyst", "admin")
MAX_TOKEN = 512
MIN_TOKEN = 16


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a request comes from. `node` is the only one an agent may speak for; "" is any.

    `source` is "token" (one of ours) or "serviceaccount" (the API server vouches for it, and for
    `namespace`, `pod` and `pod_uid`, the pod that the token was made for).
    """

    name: str
    role: Role
    node: str = ""
    source: str = "token"
    namespace: str = ""
    pod: str = ""
    pod_uid: str = ""


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    role: Role
    sha256: str


class Tokens:
    """The tokens of a hub, in `path` (JSON, 0600): name, role and SHA-256 of each."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries: list[_Entry] = []
        if path.exists():
            self._entries = [_Entry(**entry) for entry in orjson.loads(path.read_bytes())]

    def has(self, role: Role) -> bool:
        """Whether there is a token for the role."""
        return any(entry.role == role for entry in self._entries)

    def add(self, name: str, role: Role, token: str) -> None:
        """Accept `token` from now on; it replaces the one that had this name."""
        if not MIN_TOKEN <= len(token) <= MAX_TOKEN:
            raise ValueError(
                f"a token has {MIN_TOKEN} to {MAX_TOKEN} characters; that of {name!r} has {len(token)}"
            )
        entry = _Entry(name, role, _hash(token))
        if entry in self._entries:
            return
        self._entries = [*(known for known in self._entries if known.name != name), entry]
        write_private(self._path, orjson.dumps([asdict(known) for known in self._entries]))

    def drop(self, name: str) -> None:
        """Accept the token of this name no longer."""
        left = [known for known in self._entries if known.name != name]
        if left != self._entries:
            self._entries = left
            write_private(self._path, orjson.dumps([asdict(known) for known in left]))

    def verify(self, token: str) -> Principal | None:
        """Return who has this token, or None."""
        if len(token) > MAX_TOKEN:
            return None
        digest = _hash(token)
        found: Principal | None = None
        for entry in self._entries:
            if hmac.compare_digest(entry.sha256, digest):
                found = Principal(entry.name, entry.role)
        return found

    def fingerprint(self, who: Principal) -> str:
        """A mark of the token that this principal has now ("" for none), which does not tell its hash."""
        hashes = [entry.sha256 for entry in self._entries if (entry.name, entry.role) == (who.name, who.role)]
        return _hash(f"fingerprint {hashes[0]}")[:32] if hashes else ""


def token_from_file(path: Path) -> str:
    """Return the token in `path`; make the file (0600) with a new token if there is none."""
    if not path.exists():
        write_private(path, f"{new_token()}\n".encode())
    return path.read_text(encoding="utf-8").strip()


def new_token() -> str:
    """A new random token."""
    return f"kw-{secrets.token_urlsafe(32)}"


def bearer(header: str | None) -> str | None:
    """The token of an Authorization header, or None."""
    scheme, _, token = (header or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
