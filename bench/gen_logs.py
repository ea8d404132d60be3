"""Seeded generator of CRI container logs, shaped like /var/log/pods of a small shop.

    gen_logs.py OUT [--bytes N] [--seed S] [--start TIME] [--hours H] [--streams N] …

Writes OUT/<namespace>_<pod>_<uid>/<container>/<file>, and OUT.<file>.truth.json: lines, bytes, levels,
lines per hour and per stream, the needle. Streams (pod names, uids) depend on --streams only, so another
run with another seed, start and file goes on with the same streams. About 300,000 lines a second.
"""

# ruff: noqa: SIM905  # lists of words are easier to read as text

from __future__ import annotations

import argparse
import calendar
import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

SERVICES = (
    # name, namespace, kind of log, share of the bytes
    ("checkout", "shop", "kv", 7),
    ("orders", "shop", "kv", 6),
    ("payments", "pay", "kv", 6),
    ("cart", "shop", "kv", 5),
    ("pricing", "shop", "kv", 5),
    ("inventory", "stock", "kv", 4),
    ("shipping", "stock", "kv", 4),
    ("sessions", "identity", "kv", 3),
    ("ingress-a", "edge", "nginx", 7),
    ("ingress-b", "edge", "nginx", 6),
    ("web-shop", "shop", "nginx", 5),
    ("web-admin", "ops", "nginx", 4),
    ("cdn-origin", "edge", "nginx", 3),
    ("auth", "identity", "json", 7),
    ("search", "shop", "json", 6),
    ("catalog", "shop", "json", 5),
    ("notify", "notify", "json", 4),
    ("ledger", "pay", "json", 3),
    ("billing-batch", "pay", "java", 5),
    ("risk-engine", "pay", "java", 5),
)
PACE = {"kv": 180.0, "nginx": 183.0, "json": 186.5, "java": 240.0}
"""Bytes of a line, about: it only sets how fast the time stamps run."""

OPERATIONS = (
    "create_order update_cart get_price reserve_stock capture_payment refund login refresh_token "
    "list_items search send_mail render sync_ledger quote_shipping validate_address apply_coupon "
    "load_profile export_report rotate_keys healthcheck"
).split()
GOOD = (
    "request completed|cache hit|cache miss|upstream call finished|row updated|message published|"
    "token issued|job scheduled|batch flushed|order placed|stock reserved|payment authorised|"
    "session resumed|index refreshed|lock acquired|lock released|retry succeeded|quota checked"
).split("|")
WARNINGS = (
    "slow query|retrying upstream call|pool nearly exhausted|deprecated field used|clock skew detected|"
    "rate limit near|cache eviction storm|certificate expires soon"
).split("|")
ERRORS = (
    "upstream timeout|connection refused|deadlock found when trying to get lock|duplicate key value|"
    "signature mismatch|context deadline exceeded|no such host|permission denied|"
    "payment declined by issuer"
).split("|")
PATHS = (
    "/api/v1/orders/%d /api/v1/items/%d /api/v2/cart/%d/lines /static/js/app.%x.js /static/img/%d.webp "
    "/search?q=term%d&page=2 /login /healthz /api/v1/users/%d/addresses /checkout/step/%d "
    "/api/v1/price/%d /assets/css/main.%x.css /graphql /api/v1/stock/%d/reserve /admin/report/%d"
).split()
BROWSERS = (
    "Mozilla/5.0 (X11; Linux x86_64) Firefox/141.0|Mozilla/5.0 (iPhone; CPU iPhone OS 19_1)|curl/8.9.1|"
    "okhttp/4.12.0|Mozilla/5.0 (Windows NT 10.0) Chrome/138|kube-probe/1.33|python-requests/2.32|"
    "Googlebot/2.1"
).split("|")
METHODS = ["GET"] * 8 + ["POST"] * 3 + ["PUT", "DELETE"]
STATUSES = (
    [200] * 86 + [201] * 3 + [204] * 2 + [301, 302, 304, 304, 400, 401, 403, 404, 404, 499, 500, 502, 503]
)
CLASSES = (
    "OrderService PaymentGateway LedgerWriter RiskScorer SessionStore KafkaConsumer RetryTemplate "
    "HikariPool JdbcTemplate DispatcherServlet FilterChainProxy TransactionInterceptor "
    "ThreadPoolExecutor"
).split()
PACKAGES = (
    "com.acme.pay.core com.acme.risk.model org.springframework.web.servlet "
    "org.springframework.jdbc.core java.util.concurrent com.zaxxer.hikari.pool "
    "org.apache.kafka.clients.consumer com.acme.common.retry"
).split()
CALLS = ("invoke execute process doFilter run call poll proceed handle getConnection commit").split()
EXCEPTIONS = (
    "java.sql.SQLTransientConnectionException: HikariPool-1 - Connection is not available after %d ms",
    "java.net.SocketTimeoutException: Read timed out after %d ms",
    "com.acme.pay.DeclinedException: code=%d",
    "java.lang.IllegalStateException: unexpected state %d",
    "org.postgresql.util.PSQLException: ERROR: deadlock detected (%d)",
)


@dataclass(frozen=True)
class Stream:
    """One container that writes."""

    index: int
    name: str
    namespace: str
    pod: str
    uid: str
    kind: str
    share: int

    @property
    def folder(self) -> str:
        return f"{self.namespace}_{self.pod}_{self.uid}/{self.name}"


@dataclass
class Truth:
    """What was written: benchmarks compare with this."""

    needle: str
    lines: int = 0
    bytes: int = 0
    stack_lines: int = 0
    levels: Counter[str] = field(default_factory=Counter)
    hours: Counter[str] = field(default_factory=Counter)
    streams: dict[str, dict[str, int | str]] = field(default_factory=dict)


def make_streams(count: int) -> list[Stream]:
    """The same `count` streams every time."""
    rng = random.Random(20261123)
    return [_make_stream(rng, index) for index in range(count)]


def _make_stream(rng: random.Random, index: int) -> Stream:
    name, namespace, kind, share = SERVICES[index % len(SERVICES)]
    bits = [rng.getrandbits(size) for size in (32, 16, 12, 12, 48)]
    uid = "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}".format(*bits)
    letters = "".join(rng.choice("bcdfghjklmnpqrstvwxz2456789") for _ in range(5))
    pod = f"{name}-{rng.getrandbits(40):010x}-{letters}"
    return Stream(index, name, namespace, pod, uid, kind, share)


class Lines:
    """The messages of one stream: (level, stream, message, further lines) one after the other."""

    def __init__(self, stream: Stream, seed: str) -> None:
        self._rng = random.Random(f"{seed}/{stream.index}")
        self._stream = stream
        self._trace = ""
        self._left = 0
        self._user = 0
        self._number = self._rng.getrandbits(20)
        self._make = {"kv": self._kv, "nginx": self._nginx, "json": self._json, "java": self._java}[
            stream.kind
        ]

    def next(self, second: int, trace: str | None) -> tuple[str, str, str, list[str]]:
        """One message; `trace` replaces the trace id."""
        self._left -= 1
        if self._left <= 0:
            self._trace = f"{self._rng.getrandbits(128):032x}"
            self._left = 1 + self.pick(4)
            self._user = int((40_000 + 1000 * self._stream.index) * self._rng.random() ** 2)
        return self._make(self._level(), trace or self._trace, second)

    def pick(self, below: int) -> int:
        """A number below `below`."""
        return int(self._rng.random() * below)

    def step(self) -> float:
        """How long until the next message, around 1."""
        return 0.05 + 1.9 * self._rng.random()

    def _level(self) -> str:
        x = self._rng.random()
        return "info" if x < 0.88 else "warn" if x < 0.95 else "error" if x < 0.98 else "debug"

    def _text(self, level: str) -> str:
        texts = {"error": ERRORS, "warn": WARNINGS}.get(level, GOOD)
        return texts[self.pick(len(texts))]

    def _kv(self, level: str, trace: str, _: int) -> tuple[str, str, str, list[str]]:
        self._number += 1
        text = self._text(level)
        message = (
            f"level={level} svc={self._stream.name} op={OPERATIONS[self.pick(20)]} "
            f'msg="{text}" trace_id={trace} user={self._user} '
            f"dur_ms={400 * self._rng.random() ** 4:.2f} seq={self._number}"
        )
        failed = level == "error"
        trace_back = self._python_trace(text) if failed and self._rng.random() < 0.1 else []
        return level, "stderr" if failed else "stdout", message, trace_back

    def _python_trace(self, text: str) -> list[str]:
        lines = ["Traceback (most recent call last):"]
        for _ in range(3 + self.pick(6)):
            file = f"/app/{self._stream.name}/{OPERATIONS[self.pick(20)]}.py"
            lines.append(f'  File "{file}", line {10 + self.pick(900)}, in {CALLS[self.pick(11)]}')
            lines.append(
                f"    return self.{CALLS[self.pick(11)]}(ctx, {OPERATIONS[self.pick(20)]}={self.pick(10**6)})"
            )
        return [*lines, f"RuntimeError: {text} (attempt {1 + self.pick(5)})"]

    def _nginx(self, _: str, __: str, second: int) -> tuple[str, str, str, list[str]]:
        rng = self._rng
        path = PATHS[self.pick(15)]
        path = path % int(50_000 * rng.random() ** 2) if "%" in path else path
        host = f"10.{rng.getrandbits(2)}.{rng.getrandbits(4)}.{rng.getrandbits(8)}"
        when = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(second))
        message = (
            f'{host} - - [{when}] "{METHODS[self.pick(13)]} {path} HTTP/1.1" {STATUSES[self.pick(104)]} '
            f'{int(40_000 * rng.random() ** 3)} "-" "{BROWSERS[self.pick(8)]}" '
            f"rt={2 * rng.random() ** 6:.3f} rid={rng.getrandbits(32):08x}"
        )
        return "", "stdout", message, []

    def _json(self, level: str, trace: str, _: int) -> tuple[str, str, str, list[str]]:
        message = (
            f'{{"level":"{level}","logger":"{self._stream.name}.{OPERATIONS[self.pick(20)]}",'
            f'"msg":"{self._text(level)}","trace_id":"{trace}","user_id":{self._user},'
            f'"latency_ms":{900 * self._rng.random() ** 5:.1f}}}'
        )
        return level, "stderr" if level == "error" else "stdout", message, []

    def _java(self, level: str, trace: str, _: int) -> tuple[str, str, str, list[str]]:
        failed = level == "error"
        message = (
            f"{level.upper()} [http-nio-8080-exec-{1 + self.pick(64)}] {PACKAGES[self.pick(8)]}."
            f"{CLASSES[self.pick(13)]} - {self._text('error' if failed else 'info')} trace_id={trace} "
            f"account={self.pick(3_000_000)} amount={2000 * self._rng.random() ** 3:.2f}"
        )
        return level, "stderr" if failed else "stdout", message, self._java_trace() if failed else []

    def _java_trace(self) -> list[str]:
        lines = [EXCEPTIONS[self.pick(5)] % self.pick(30_000)]
        for _ in range(6 + self.pick(20)):
            name = CLASSES[self.pick(13)]
            call = f"{PACKAGES[self.pick(8)]}.{name}.{CALLS[self.pick(11)]}"
            lines.append(f"\tat {call}({name}.java:{20 + self.pick(900)})")
        return lines


class Clock:
    """Time stamps as CRI writes them, running at the pace that fills the hours with the bytes."""

    def __init__(self, start: int, step: float) -> None:
        self._time = float(start)
        self._step = step
        self._text = ""
        self.second = -1

    def tick(self, by: float) -> str:
        """Go on by `by` steps and return the stamp."""
        return self._forward(self._step * by)

    def stack_tick(self) -> str:
        """Go on by two microseconds: lines of one stack trace."""
        return self._forward(2e-6)

    @property
    def hour(self) -> str:
        return self._text[:13]

    def _forward(self, seconds: float) -> str:
        self._time += seconds
        whole = int(self._time)
        if whole != self.second:
            self.second = whole
            self._text = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(whole))
        return f"{self._text}{int((self._time - whole) * 1e9):09d}Z"


def generate(stream: Stream, size: int, options: argparse.Namespace, truth: Truth) -> Iterator[str]:
    """Yield the lines of a stream until it has `size` bytes; count them into `truth`."""
    lines = Lines(stream, options.seed)
    clock = Clock(options.start, options.hours * 3600.0 / max(1.0, size / PACE[stream.kind]))
    needle_at = int(size * 0.37) if stream.index == 2 else size + 1
    written = count = 0
    while written < size:
        stamp = clock.tick(lines.step())
        trace = truth.needle if written >= needle_at else None
        needle_at = size + 1 if trace else needle_at
        level, output, message, stack = lines.next(clock.second, trace)
        batch = [f"{stamp} {output} F {message}\n"]
        batch += [f"{clock.stack_tick()} stderr F {more}\n" for more in stack]
        written += sum(map(len, batch))
        count += len(batch)
        truth.stack_lines += len(stack)
        truth.hours[clock.hour] += len(batch)
        if level:
            truth.levels[level] += 1
        yield from batch
    truth.streams[stream.folder] = {"lines": count, "bytes": written, "kind": stream.kind}
    truth.lines += count
    truth.bytes += written


def write(path: Path, lines: Iterator[str]) -> None:
    """Write lines in large pieces."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", buffering=1 << 20, encoding="ascii") as file:
        file.writelines(lines)


def parse_time(text: str) -> int:
    """Seconds since the epoch of a UTC time without a zone."""
    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%S"))


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--bytes", type=int, default=10**9)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--start", type=parse_time, default="2026-11-22T08:00:00")
    parser.add_argument("--hours", type=float, default=24)
    parser.add_argument("--streams", type=int, default=20)
    parser.add_argument("--file", default="0.log")
    parser.add_argument("--needle", default="00c0ffee5eed4b1d9a7e1f0b2c3d4e5f")
    return parser.parse_args()


def main() -> None:
    options = parse_options()
    streams = make_streams(options.streams)
    shares = sum(stream.share for stream in streams)
    truth = Truth(options.needle)
    began = time.monotonic()
    for stream in streams:
        lines = generate(stream, options.bytes * stream.share // shares, options, truth)
        write(options.out / stream.folder / options.file, lines)
    report = options.out.with_name(f"{options.out.name}.{options.file}.truth.json")
    report.write_text(json.dumps(vars(truth), indent=1, sort_keys=True))
    mean = truth.bytes / max(1, truth.lines)
    seconds = time.monotonic() - began
    print(f"{truth.lines} lines, {truth.bytes} bytes, mean {mean:.1f} bytes a line, {seconds:.1f} s")


if __name__ == "__main__":
    main()
