"""What surrounds the killed program: containers that write and rotate logs, and a hub that keeps them."""

import contextlib
import gzip
import json
import threading
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import zstandard

from keelwatch.model.batch import decode_frames
from keelwatch.model.identity import IDENTITY_COLUMNS


class Writer(threading.Thread):
    """Writes numbered lines as a runtime does, some of them in parts, and rotates as the kubelet does."""

    def __init__(self, folder: Path, pace: float = 0.004) -> None:
        super().__init__(daemon=True)
        folder.mkdir(parents=True)
        self._log = folder / "0.log"
        self._pace = pace
        self._ending = threading.Event()
        self.lines = 0

    def run(self) -> None:
        file = self._log.open("ab", buffering=0)
        rotated: list[Path] = []
        while not self._ending.wait(self._pace):
            file.write(b"".join(self._next() for _ in range(50)))
            if self._log.stat().st_size > 150_000:
                rotated.append(self._log.rename(f"{self._log}.{time.time_ns():020d}"))
                file.write(self._next())  # the runtime has the old file open still
                file.close()
                file = self._log.open("ab", buffering=0)
                if len(rotated) > 2:
                    self._compress(rotated.pop(0))
        file.write(self._next()[:-1])  # the last words of a container that was killed
        file.close()

    def _next(self) -> bytes:
        self.lines += 1
        now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}{self.lines % 1000:03d}Z"
        if self.lines % 17:
            return f"{now} stdout F line {self.lines} {'x' * (self.lines % 90)}\n".encode()
        self.lines += 1
        whole = f"{now} stderr F line {self.lines} in between\n"
        return f"{now} stdout P line \n{whole}{now} stdout F {self.lines - 1} in parts\n".encode()

    @staticmethod
    def _compress(path: Path) -> None:
        temporary = Path(f"{path}.tmp")
        with gzip.open(temporary, "wb") as packed:
            packed.write(path.read_bytes())
        temporary.rename(f"{path}.gz")
        path.unlink()

    def stop(self) -> None:
        self._ending.set()
        self.join()


class Hub(ThreadingHTTPServer):
    """Accepts a batch once, by its number, and keeps all lines; sometimes its answer gets lost."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.lock = threading.Lock()
        self.stored: dict[str, int] = {}
        self.chunks: list[tuple[str, bytes]] = []
        self.gaps: list[dict] = []
        self.jumps: list[tuple[str, int, int]] = []
        self.requests = 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def take(self, body: bytes) -> None:
        with self.lock:
            for header, packed in decode_frames(body):
                expected = self.stored.get(header.table, 0) + 1
                if header.seq < expected:
                    continue
                if header.seq > expected:
                    self.jumps.append((header.table, expected, header.seq))
                self._keep(header.table, zstandard.ZstdDecompressor().decompress(bytes(packed)))
                self.stored[header.table] = header.seq

    def _keep(self, table: str, raw: bytes) -> None:
        if table == "logs":
            self.chunks += unpack_chunks(raw)
        elif table == "gaps":
            self.gaps += [json.loads(line) for line in raw.splitlines()]

    def numbers(self, container: str) -> list[int]:
        """Line numbers of a container, in the order in which they arrived."""
        lines = b"".join(chunk for name, chunk in self.chunks if name == container).splitlines()
        return [int(line.split(b" ", 5)[4]) for line in lines]

    def handle_error(self, *_: object) -> None:
        """A client that was killed in the middle of a request is what this is about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def do_GET(self) -> None:
        self._answer({"stored": self.server.stored})

    def do_POST(self) -> None:
        size = int(self.headers["Content-Length"])
        body = self.rfile.read(size)
        if len(body) < size:
            return
        self.server.take(body)
        self.server.requests += 1
        if self.server.requests % 7 == 0:
            self.close_connection = True  # stored, but the agent does not get to know
            with contextlib.suppress(OSError):
                self.connection.close()
            return
        self._answer({"acknowledged": self.server.stored})

    def _answer(self, answer: dict) -> None:
        data = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


def unpack_chunks(raw: bytes) -> list[tuple[str, bytes]]:
    """Return (container, chunk) of each RowBinary row of a logs batch."""
    found, at = [], 0
    while at < len(raw):
        _, at = _string(raw, at)
        at += 12  # first_row, offset
        container = b""
        for name in IDENTITY_COLUMNS:
            value, at = (b"", at + 4) if name == "restart" else _string(raw, at)
            container = value if name == "container" else container
        chunk, at = _string(raw, at)
        found.append((container.decode(), chunk))
    return found


def _string(raw: bytes, at: int) -> tuple[bytes, int]:
    size = shift = 0
    while True:
        byte = raw[at]
        at += 1
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return raw[at : at + size], at + size
