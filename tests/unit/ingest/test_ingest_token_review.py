"""What the reviewer asks, remembers and forgets; the answers are those of a real API server 1.34."""

import time
from base64 import urlsafe_b64encode
from concurrent.futures import Future
from typing import Any

import orjson
import pytest

from keelwatch.ingest.auth import Principal
from keelwatch.ingest.token_review import (
    AUDIENCE,
    AWAY_SECONDS,
    FRESH_SECONDS,
    MOST_WAITING,
    REFUSED_SECONDS,
    RENEW_SECONDS,
    STALE_SECONDS,
    AwayError,
    RefusedError,
    Reviewer,
)
from keelwatch.inventory.client import ApiError, UnreachableError

USER = "system:serviceaccount:watch:agent"


def jwt(**claims: Any) -> str:
    body = {"aud": [AUDIENCE], "exp": time.time() + 3600, "sub": USER} | claims
    return ".".join(
        urlsafe_b64encode(part).decode().rstrip("=") for part in (b"{}", orjson.dumps(body), b"s")
    )


def vouched(**changes: Any) -> dict[str, Any]:
    prefix = "authentication.kubernetes.io/"
    extra = {"pod-name": ["agent-x"], "pod-uid": ["u-1"], "node-name": ["node-a"]} | changes.pop("extra", {})
    user = {"username": USER, "extra": {prefix + name: value for name, value in extra.items() if value}}
    return {"authenticated": True, "audiences": [AUDIENCE], "user": user} | changes


class Server:
    """Answers in the place of an API server; an exception is raised."""

    def __init__(self) -> None:
        self.answer: Any = vouched()
        self.pod: Any = {"metadata": {"uid": "u-1"}, "spec": {"nodeName": "node-of-pod"}}
        self.asked: list[dict[str, Any]] = []

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(body)
        if isinstance(self.answer, Exception):
            raise self.answer
        return {"status": self.answer}

    def get(self, path: str) -> dict[str, Any]:
        if isinstance(self.pod, Exception):
            raise self.pod
        return self.pod


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def reviewer(server: Server, clock: Clock) -> Reviewer:
    return Reviewer(server, "watch/agent", clock)  # type: ignore[arg-type]


def who(reviewer: Reviewer, token: str) -> Principal:
    found = reviewer.principal(token)
    return found.result(5) if isinstance(found, Future) else found


def refused(reviewer: Reviewer, token: str) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        who(reviewer, token)
    return caught.value


def settled(reviewer: Reviewer) -> None:
    deadline = time.monotonic() + 5
    while reviewer._asked and time.monotonic() < deadline:
        time.sleep(0.005)


def test_the_node_is_that_of_the_tokens_pod(reviewer: Reviewer, server: Server) -> None:
    found = who(reviewer, jwt())
    assert (found.role, found.node, found.source) == ("agent", "node-a", "serviceaccount")
    assert (found.namespace, found.pod, found.pod_uid) == ("watch", "agent-x", "u-1")
    assert server.asked[0]["spec"]["audiences"] == [AUDIENCE]


def test_older_api_servers_are_asked_for_the_pod(reviewer: Reviewer, server: Server) -> None:
    server.answer = vouched(extra={"node-name": []})
    assert who(reviewer, jwt()).node == "node-of-pod"


@pytest.mark.parametrize(
    "pod",
    [
        ApiError(404, "NotFound", "gone"),
        {"metadata": {"uid": "another"}, "spec": {"nodeName": "n"}},
        {"metadata": {"uid": "u-1"}, "spec": {}},
        {},
    ],
)
def test_a_pod_that_is_another_one_by_now_vouches_for_nobody(
    reviewer: Reviewer, server: Server, pod: Any
) -> None:
    server.answer, server.pod = vouched(extra={"node-name": []}), pod
    assert refused(reviewer, jwt()).status == 401


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ({"authenticated": False, "error": "expired"}, 401),
        ({}, 401),
        (vouched(audiences=[]), 401),
        (vouched(audiences=["api"]), 401),
        (vouched(authenticated="true"), 401),
        (vouched(user={"username": "system:serviceaccount:watch:default"}), 403),
        (vouched(user={"username": "system:serviceaccount:other:agent"}), 403),
        (vouched(user={"username": USER}), 403),
        (vouched(extra={"pod-name": []}), 403),
    ],
)
def test_who_is_refused(reviewer: Reviewer, server: Server, answer: Any, status: int) -> None:
    server.answer = answer
    assert refused(reviewer, jwt()).status == status


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "a.b",
        "a.!.c",
        "a.bnVsbA.c",
        jwt(aud=["api"]),
        jwt(aud="api"),
        jwt(exp=1),
        jwt(exp="x"),
        "." * 9,
        "x" * 20_000 + ".e30.s",
    ],
)
def test_what_is_plainly_no_token_of_an_agent_costs_the_api_server_nothing(
    reviewer: Reviewer, server: Server, token: str
) -> None:
    assert refused(reviewer, token).status == 401
    assert not server.asked


def test_it_is_asked_once_a_minute_and_ahead_of_time(
    reviewer: Reviewer, server: Server, clock: Clock
) -> None:
    token = jwt()
    who(reviewer, token)
    clock.now += RENEW_SECONDS - 1
    assert isinstance(reviewer.principal(token), Principal)
    assert len(server.asked) == 1
    clock.now += 2
    assert isinstance(reviewer.principal(token), Principal)  # at once, and asked about behind it
    settled(reviewer)
    assert len(server.asked) == 2
    clock.now += FRESH_SECONDS
    assert isinstance(reviewer.principal(token), Future)


def test_a_token_that_was_revoked_is_good_for_a_minute_at_most(
    reviewer: Reviewer, server: Server, clock: Clock
) -> None:
    token = jwt()
    who(reviewer, token)
    server.answer = {"authenticated": False}
    clock.now += FRESH_SECONDS
    assert refused(reviewer, token).status == 401
    server.answer = UnreachableError("away")
    clock.now += REFUSED_SECONDS
    with pytest.raises(AwayError):  # and an API server that is away does not bring it back
        who(reviewer, token)


def test_a_refusal_is_remembered_for_seconds(reviewer: Reviewer, server: Server, clock: Clock) -> None:
    server.answer = {"authenticated": False}
    token = jwt()
    for _ in range(5):
        assert refused(reviewer, token).status == 401
    assert len(server.asked) == 1
    server.answer = vouched()
    clock.now += REFUSED_SECONDS
    assert who(reviewer, token).node == "node-a"


@pytest.mark.parametrize(
    "error",
    [UnreachableError("no route"), ApiError(500, "InternalError", "x"), ApiError(403, "Forbidden", "x")],
)
def test_who_was_known_goes_on_while_the_api_server_is_away_but_not_for_ever(
    reviewer: Reviewer, server: Server, clock: Clock, error: Exception
) -> None:
    token = jwt()
    who(reviewer, token)
    server.answer = error
    clock.now += STALE_SECONDS - 1
    assert who(reviewer, token).node == "node-a"
    assert reviewer.problem
    with pytest.raises(AwayError):
        who(reviewer, jwt(jti="another"))
    clock.now += AWAY_SECONDS
    with pytest.raises(AwayError):
        who(reviewer, token)
    server.answer = vouched()
    clock.now += AWAY_SECONDS
    assert who(reviewer, token).node == "node-a"
    assert not reviewer.problem


def test_no_token_outlives_its_own_end(reviewer: Reviewer, server: Server, clock: Clock) -> None:
    token = jwt(exp=time.time() - 1)
    who(reviewer, token)
    server.answer = UnreachableError("away")
    clock.now += FRESH_SECONDS
    with pytest.raises(AwayError):
        who(reviewer, token)


def test_while_it_is_away_it_is_asked_now_and_then_only(
    reviewer: Reviewer, server: Server, clock: Clock
) -> None:
    server.answer = UnreachableError("away")
    for number in range(20):
        with pytest.raises(AwayError):
            who(reviewer, jwt(jti=str(number)))
    assert len(server.asked) == 1
    clock.now += AWAY_SECONDS
    with pytest.raises(AwayError):
        who(reviewer, jwt())
    assert len(server.asked) == 2


def test_so_many_wait_and_no_more(reviewer: Reviewer) -> None:
    for number in range(MOST_WAITING):
        reviewer._asked[bytes([number % 256, number // 256])] = Future()
    with pytest.raises(AwayError, match="too many"):
        reviewer.principal(jwt())
