"""Container logs as a runtime writes them, in the layout of /var/log/pods, from a seed.

    python -m bench.gen_logs OUTDIR [--bytes 1000000000] [--seed 1] [--start 2026-11-22T08:00:00]
                             [--hours 24] [--streams 20] [--needle HEX32] [--file 0.log]

Writes OUTDIR/<namespace>_<pod>_<uid>/<container>/<file>, and the truth about it (lines, bytes, levels,
lines by hour and by stream) beside it as OUTDIR.<file>.truth.json. Pods depend on --streams only, so
another run with another --file goes on with the same ones. Four kinds of text: key=value, nginx,
JSON, Java with stack traces.
"""

from __future__ import annotations

import argparse
import calendar
import json
import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path


def _words(text: str) -> list[str]:
    return text.split()


KINDS = ["kv"] * 8 + ["nginx"] * 5 + ["json"] * 5 + ["java"] * 2
WEIGHTS = [7, 6, 6, 5, 5, 4, 4, 3, 7, 6, 5, 4, 3, 7, 6, 5, 4, 3, 5, 5]
NAMES = _words("""
    checkout orders payments cart pricing inventory shipping sessions ingress-a ingress-b web-shop
    web-admin cdn-origin auth search catalog notify ledger billing-batch risk-engine
""")
NAMESPACES = _words("""
    shop shop pay shop shop stock stock identity edge edge shop ops edge identity shop shop notify
    pay pay pay
""")
OPERATIONS = _words("""
    create_order update_cart get_price reserve_stock capture_payment refund login refresh_token
    list_items search send_mail render sync_ledger quote_shipping validate_address apply_coupon
    load_profile export_report rotate_keys healthcheck
""")
INFOS = [
    "request completed", "cache hit", "cache miss", "upstream call finished", "row updated",
    "message published", "token issued", "job scheduled", "batch flushed", "order placed", "stock reserved",
    "payment authorised", "session resumed", "index refreshed", "lock acquired", "lock released",
    "retry succeeded", "quota checked",
]  # fmt: skip
WARNINGS = [
    "slow query", "retrying upstream call", "pool nearly exhausted", "deprecated field used",
    "clock skew detected", "rate limit near", "cache eviction storm", "certificate expires soon",
]  # fmt: skip
ERRORS = [
    "upstream timeout", "connection refused", "deadlock found when trying to get lock",
    "duplicate key value", "signature mismatch", "context deadline exceeded", "no such host",
    "permission denied", "payment declined by issuer",
]  # fmt: skip
PATHS = [
    "/api/v1/orders/%d", "/api/v1/items/%d", "/api/v2/cart/%d/lines", "/static/js/app.%x.js",
    "/static/img/%d.webp", "/search?q=term%d&page=2", "/login", "/healthz", "/api/v1/users/%d/addresses",
    "/checkout/step/%d", "/api/v1/price/%d", "/assets/css/main.%x.css", "/graphql",
    "/api/v1/stock/%d/reserve", "/admin/report/%d",
]  # fmt: skip
AGENTS = [
    "Mozilla/5.0 (X11; Linux x86_64) Firefox/141.0", "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1)",
    "curl/8.9.1", "okhttp/4.12.0", "Mozilla/5.0 (Windows NT 10.0) Chrome/138", "kube-probe/1.33",
    "python-requests/2.32", "Googlebot/2.1",
]  # fmt: skip
METHODS = ["GET"] * 8 + ["POST"] * 3 + ["PUT", "DELETE"]
STATUSES = (
    [200] * 86 + [201] * 3 + [204] * 2 + [301, 302, 304, 304, 400, 401, 403, 404, 404, 499, 500, 502, 503]
)
CLASSES = _words("""
    OrderService PaymentGateway LedgerWriter RiskScorer SessionStore KafkaConsumer RetryTemplate
    HikariPool JdbcTemplate DispatcherServlet FilterChainProxy TransactionInterceptor
    ThreadPoolExecutor
""")
PACKAGES = _words("""
    com.acme.pay.core com.acme.risk.model org.springframework.web.servlet
    org.springframework.jdbc.core java.util.concurrent com.zaxxer.hikari.pool
    org.apache.kafka.clients.consumer com.acme.common.retry
""")
FUNCTIONS = _words("invoke execute process doFilter run call poll proceed handle getConnection commit")
EXCEPTIONS = [
    "java.sql.SQLTransientConnectionException: HikariPool-1 - Connection is not available, "
    "request timed out after %dms.",
    "java.net.SocketTimeoutException: Read timed out after %d ms", "com.acme.pay.DeclinedException: code=%d",
    "java.lang.IllegalStateException: unexpected state %d",
    "org.postgresql.util.PSQLException: ERROR: deadlock detected (%d)",
]  # fmt: skip
AVERAGE = {"kv": 180.0, "nginx": 183.0, "json": 186.5, "java": 240.0}
"""Bytes of a line, about: they set only the pace of the time stamps."""

SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
FLUSH_LINES = 4000
NEEDLE_STREAM = 2
NEEDLE_AT = 0.37
"""Where in its stream the needle lies, as a part of the stream's bytes."""


@dataclass(frozen=True)
class Source:
    """One container. `weight` is its share of the bytes."""

    kind: str
    name: str
    namespace: str
    pod: str
    uid: str
    weight: int

    @property
    def folder(self) -> str:
        """Below the log root."""
        return f"{self.namespace}_{self.pod}_{self.uid}/{self.name}"


@dataclass
class Truth:
    """What was written."""

    lines: int = 0
    bytes: int = 0
    stack_lines: int = 0
    levels: dict[str, int] = field(default_factory=dict)
    hours: dict[str, int] = field(default_factory=dict)
    streams: dict[str, dict[str, int | str]] = field(default_factory=dict)
    needle: str = ""


def sources(count: int) -> list[Source]:
    """The containers: always the same ones."""
    random_ = random.Random(20261123)
    return [_source(index % len(NAMES), random_) for index in range(count)]


def _source(index: int, random_: random.Random) -> Source:
    bits = random_.getrandbits
    uid = f"{bits(32):08x}-{bits(16):04x}-4{bits(12):03x}-a{bits(12):03x}-{bits(48):012x}"
    template = f"{bits(32):08x}{bits(8):02x}"
    suffix = "".join(random_.choice(SUFFIX_LETTERS) for _ in range(5))
    name = NAMES[index]
    return Source(KINDS[index], name, NAMESPACES[index], f"{name}-{template}-{suffix}", uid, WEIGHTS[index])


class Writer:
    """Writes one stream. The order of the draws is part of the data: a seed gives the same bytes for ever."""

    def __init__(self, source: Source, index: int, seed: str, truth: Truth) -> None:
        self._source = source
        self._random = random.Random(f"{seed}/{index}")
        self._draw = self._random.random
        self._bits = self._random.getrandbits
        self._truth = truth
        self._make: Callable[[], tuple[str, list[str]]] = getattr(self, f"_{source.kind}")
        self._users = 40000 + 1000 * index
        self._trace = f"{self._bits(128):032x}"
        self._left = 1
        self._number = self._bits(20)
        self._user = 0
        self._level: str | None = ""
        self._shown = ""  # the trace id of this line
        self._second = -1
        self._prefix = self._nginx_time = self._hour = ""

    def write(self, path: Path, size: int, start: int, hours: float, needle: str) -> None:
        """Write about `size` bytes of lines."""
        truth, source = self._truth, self._source
        step = hours * 3600.0 / max(1.0, size / AVERAGE[source.kind])
        at, written, lines = float(start), 0, 0
        needle_at = int(size * NEEDLE_AT) if needle else -1
        held: list[str] = []
        with path.open("w", buffering=1 << 20, encoding="ascii") as file:
            while written < size:
                at += step * (0.05 + 1.9 * self._draw())
                stamp = self._stamp(at)
                self._begin_line()
                if 0 <= needle_at <= written:
                    self._shown, needle_at = needle, -1
                text, more = self._make()
                stream = "stderr" if self._level == "error" else "stdout"
                block = [f"{stamp} {stream} F {text}\n"]
                for extra in more:
                    at += 2e-6
                    stamp = self._same_second(at, stamp)
                    block.append(f"{stamp} stderr F {extra}\n")
                held += block
                written += sum(map(len, block))
                lines += len(block)
                self._count(block)
                if len(held) > FLUSH_LINES:
                    file.write("".join(held))
                    held.clear()
            file.write("".join(held))
        truth.streams[source.folder] = {"lines": lines, "bytes": written, "kind": source.kind}
        truth.lines += lines
        truth.bytes += written

    def _count(self, block: list[str]) -> None:
        truth = self._truth
        if self._level is not None:
            truth.levels[self._level] = truth.levels.get(self._level, 0) + 1
        truth.hours[self._hour] = truth.hours.get(self._hour, 0) + len(block)
        truth.stack_lines += len(block) - 1

    def _stamp(self, at: float) -> str:
        second = int(at)
        if second != self._second:
            self._second = second
            now = time.gmtime(second)
            self._prefix = time.strftime("%Y-%m-%dT%H:%M:%S.", now)
            self._nginx_time = time.strftime("%d/%b/%Y:%H:%M:%S +0000", now)
            self._hour = self._prefix[:13]
        return f"{self._prefix}{int((at - second) * 1e9):09d}Z"

    def _same_second(self, at: float, before: str) -> str:
        return self._stamp(at) if int(at) == self._second else before

    def _begin_line(self) -> None:
        self._left -= 1
        if self._left <= 0:
            self._trace = f"{self._bits(128):032x}"
            self._left = 1 + int(self._draw() * 4)
            self._user = int(self._users * self._draw() ** 2)
        x = self._draw()
        self._level = "info" if x < 0.88 else "warn" if x < 0.95 else "error" if x < 0.98 else "debug"
        self._shown = self._trace

    def _one(self, choices: list[str]) -> str:
        return choices[int(self._draw() * len(choices))]

    def _message(self) -> str:
        return self._one({"error": ERRORS, "warn": WARNINGS}.get(self._level or "", INFOS))

    def _kv(self) -> tuple[str, list[str]]:
        self._number += 1
        message = self._message()
        text = (
            f'level={self._level} svc={self._source.name} op={self._one(OPERATIONS)} msg="{message}" '
            f"trace_id={self._shown} user={self._user} dur_ms={400 * self._draw() ** 4:.2f} "
            f"seq={self._number}"
        )
        if self._level != "error" or self._draw() >= 0.10:
            return text, []
        return text, self._python_stack(message)

    def _python_stack(self, message: str) -> list[str]:
        stack = ["Traceback (most recent call last):"]
        for _ in range(3 + int(self._draw() * 6)):
            file = f"/app/{self._source.name}/{self._one(OPERATIONS)}.py"
            line = 10 + int(self._draw() * 900)
            stack.append(f'  File "{file}", line {line}, in {self._one(FUNCTIONS)}')
            call, argument = self._one(FUNCTIONS), self._one(OPERATIONS)
            stack.append(f"    return self.{call}(ctx, {argument}={int(self._draw() * 1e6)})")
        return [*stack, f"RuntimeError: {message} (attempt {1 + int(self._draw() * 5)})"]

    def _nginx(self) -> tuple[str, list[str]]:
        path = self._one(PATHS)
        if "%" in path:
            path %= int(50000 * self._draw() ** 2)
        status = STATUSES[int(self._draw() * len(STATUSES))]
        self._level = None
        host = f"10.{self._bits(2)}.{self._bits(4)}.{self._bits(8)}"
        request = f"{self._one(METHODS)} {path} HTTP/1.1"
        size = int(40000 * self._draw() ** 3)
        agent = self._one(AGENTS)
        return (
            f'{host} - - [{self._nginx_time}] "{request}" {status} {size} "-" "{agent}" '
            f"rt={2 * self._draw() ** 6:.3f} rid={self._bits(32):08x}"
        ), []

    def _json(self) -> tuple[str, list[str]]:
        message = self._message()
        logger = f"{self._source.name}.{self._one(OPERATIONS)}"
        return (
            f'{{"level":"{self._level}","logger":"{logger}","msg":"{message}","trace_id":"{self._shown}",'
            f'"user_id":{self._user},"latency_ms":{900 * self._draw() ** 5:.1f}}}'
        ), []

    def _java(self) -> tuple[str, list[str]]:
        thread = f"http-nio-8080-exec-{1 + int(self._draw() * 64)}"
        name = self._one(CLASSES)
        package = self._one(PACKAGES)
        message = self._one(ERRORS if self._level == "error" else INFOS)
        text = (
            f"{(self._level or '').upper()} [{thread}] {package}.{name} - {message} trace_id={self._shown} "
            f"account={int(3e6 * self._draw())} amount={2000 * self._draw() ** 3:.2f}"
        )
        return text, self._java_stack() if self._level == "error" else []

    def _java_stack(self) -> list[str]:
        stack = [self._one(EXCEPTIONS) % int(30000 * self._draw())]
        for _ in range(6 + int(self._draw() * 20)):
            name = self._one(CLASSES)
            at = f"{self._one(PACKAGES)}.{name}.{self._one(FUNCTIONS)}"
            stack.append(f"\tat {at}({name}.java:{20 + int(self._draw() * 900)})")
        return stack


@dataclass(frozen=True)
class Order:
    """What to write. `start` is UTC."""

    out: Path
    bytes: int = 10**9
    seed: str = "1"
    start: str = "2026-11-22T08:00:00"
    hours: float = 24.0
    streams: int = 20
    file: str = "0.log"
    needle: str = "00c0ffee5eed4b1d9a7e1f0b2c3d4e5f"

    @property
    def truth(self) -> Path:
        """Where the truth is written."""
        return self.out.with_name(f"{self.out.name}.{self.file}.truth.json")


def generate(order: Order) -> Truth:
    """Write all streams, and the truth last: where it stands, the logs are whole."""
    start = calendar.timegm(time.strptime(order.start, "%Y-%m-%dT%H:%M:%S"))
    chosen = sources(order.streams)
    weights = sum(source.weight for source in chosen)
    truth = Truth(needle=order.needle)
    for index, source in enumerate(chosen):
        folder = order.out / source.folder
        folder.mkdir(parents=True, exist_ok=True)
        needle = order.needle if index == NEEDLE_STREAM else ""
        writer = Writer(source, index, order.seed, truth)
        writer.write(folder / order.file, order.bytes * source.weight // weights, start, order.hours, needle)
    order.truth.write_text(json.dumps(asdict(truth), indent=1, sort_keys=True))
    return truth


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.gen_logs", description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=Path)
    for name, kind in (("bytes", int), ("seed", str), ("start", str), ("hours", float), ("streams", int)):
        parser.add_argument(f"--{name}", type=kind, default=getattr(Order, name))
    parser.add_argument("--file", default=Order.file)
    parser.add_argument("--needle", default=Order.needle)
    began = time.monotonic()
    truth = generate(Order(**vars(parser.parse_args())))
    mean = truth.bytes / truth.lines
    took = time.monotonic() - began
    print(f"{truth.lines} lines, {truth.bytes} bytes, mean {mean:.1f} bytes a line, {took:.1f} s")


if __name__ == "__main__":
    main()
