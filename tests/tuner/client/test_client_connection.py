"""What a server refuses, and whatever else may answer, as lines for people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from trainable.errors import UserError
from tuner.client import Client
from tuner.client.connection import Connection
from tuner.client.refusals import MissingError, NoTokenError, UnreachableError

Answer = Callable[[httpx.Request], httpx.Response]


def connection(answer: Answer, token: str | None = "secret") -> Connection:
    return Connection("http://x/thaw", token, httpx.Client(transport=httpx.MockTransport(answer)))


def problem(status: int, **fields: Any) -> Answer:
    headers = {"content-type": "application/problem+json"}
    return lambda _: httpx.Response(status, headers=headers, json={"title": "Refused", "status": status, **fields})


def test_a_name_is_one_part_of_an_address_whatever_it_has() -> None:
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.raw_path)
        return httpx.Response(204)

    with Client("http://x", http=httpx.Client(transport=httpx.MockTransport(answer))) as client:
        client.delete_data_set("../searches/birds?a")
        client.best_yaml("a/../../data/cats#")
    assert asked == [b"/v1/data/..%2Fsearches%2Fbirds%3Fa", b"/v1/searches/a%2F..%2F..%2Fdata%2Fcats%23/best.yaml"]


@pytest.mark.parametrize(
    ("answer", "kind", "lines"),
    [
        (problem(409, detail="search 'birds' exists"), UserError, ["search 'birds' exists"]),
        (problem(404, detail="there is no search 'birds'"), MissingError, ["there is no search 'birds'"]),
        (problem(403), UserError, ["Refused"]),
        (problem(401), NoTokenError, ["http://x/thaw: asks for a token that it knows; `tuner login http://x/thaw`"]),
        (
            problem(422, detail="2 mistakes", errors=[{"field": "seed", "message": "too low"}, {"message": "no data"}]),
            UserError,
            ["seed: too low", "no data"],
        ),
    ],
)
def test_each_mistake_is_a_line(answer: Answer, kind: type[UserError], lines: list[str]) -> None:
    with pytest.raises(UserError) as refused:
        connection(answer).ask("GET", "/v1/me")
    assert type(refused.value) is kind
    assert list(refused.value.mistakes) == lines


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: httpx.Response(502, text="<html>Bad gateway"),
        lambda _: httpx.Response(404, text="nginx"),
        lambda _: httpx.Response(500, headers={"content-type": "application/problem+json"}, text="{"),
    ],
)
def test_what_is_no_server_of_thaw_is_said_so(answer: Answer) -> None:
    with pytest.raises(UnreachableError, match="http://x/thaw: what answers there is no server of Thaw"):
        connection(answer).ask("GET", "/v1/me")


def test_nobody_there_is_one_line() -> None:
    def refuse(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("[Errno 111] Connection refused")

    with pytest.raises(UnreachableError, match=r"no server answers there .*refused") as refused:
        connection(refuse).ask("GET", "/v1/me")
    assert "secret" not in str(refused.value)


def test_pages_are_asked_for_until_the_last() -> None:
    asked: list[dict[str, str]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(dict(request.url.params))
        assert request.headers["authorization"] == "Bearer secret"
        assert request.url.path == "/thaw/v1/searches"
        page = len(asked)
        return httpx.Response(200, json={"items": [page, -page], "next_cursor": f"c{page}" if page < 3 else None})

    pages = connection(answer).pages("/v1/searches", state="running", owner=None)
    assert [next(pages), next(pages)] == [1, -1]
    assert len(asked) == 1
    assert list(pages) == [2, -2, 3, -3]
    assert asked == [{"state": "running"}, {"state": "running", "cursor": "c1"}, {"state": "running", "cursor": "c2"}]


def test_no_token_is_no_header() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert "authorization" not in request.headers
        return httpx.Response(200, json={})

    assert connection(answer, None).data("GET", "/v1/me") == {}
