"""Events over HTTP: all of them, once, in order, from wherever a client goes on."""

from __future__ import annotations

import json

import pytest
from service_rows import NOON
from small_service import SmallService
from sqlalchemy import select

from tuner.service.access.accounts import list_tokens, revoke_token
from tuner.service.api import events
from tuner.service.database.rows import SearchRow
from tuner.service.watching.logs import log_of


def told_of(text: str) -> list[dict[str, object]]:
    """The events of a stream."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if "id" in fields:
            found.append({**json.loads(fields["data"]), "id": int(fields["id"]), "event": fields["event"]})
    return found


def test_events_are_those_of_the_log(service: SmallService) -> None:
    told = service.told("flowers")
    told.trial("t0001", 0, 0.25, 0.5)
    answer = service.client.get("/v1/searches/flowers/events", params={"follow": False})
    assert answer.headers["content-type"].startswith("text/event-stream")
    found = told_of(answer.text)
    assert found == [{**event, "id": event["seq"], "event": event["kind"]} for event in told.store.events()]


@pytest.mark.parametrize(
    ("after", "last_event_id", "first"),
    [(0, None, 1), (2, None, 3), (0, "3", 4), (4, "1", 2), (1, "no number", 2), (1, "²", 2), (10**15, None, None)],
)
def test_a_client_goes_on_where_it_was(
    service: SmallService, after: int, last_event_id: str | None, first: int | None
) -> None:
    told = service.told("flowers")
    told.trial("t0001", 0, 0.25, 0.5)
    headers = {} if last_event_id is None else {"Last-Event-ID": last_event_id.encode()}
    options = {"after": after, "follow": False}
    answer = service.client.get("/v1/searches/flowers/events", params=options, headers=headers)  # type: ignore[arg-type]
    assert [event["id"] for event in told_of(answer.text)] == ([] if first is None else list(range(first, 6)))


def test_an_unknown_search_tells_nothing(service: SmallService) -> None:
    assert service.client.get("/v1/searches/none/events").status_code == 404


def test_only_so_many_listen(service: SmallService, monkeypatch: pytest.MonkeyPatch) -> None:
    service.told("flowers")
    monkeypatch.setattr(type(service.services.broadcaster), "listeners", 1000)
    answer = service.client.get("/v1/searches/flowers/events")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "30")


def test_a_stream_ends_when_its_token_is_revoked(service: SmallService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_PROVED_EVERY_SECONDS", 0.0)
    told = service.told("flowers")
    headers = service.token("ada", "read")
    told.trial("t0001", 0, 0.25)
    service.services.broadcaster._heartbeat_seconds = 0.01

    def revoke() -> None:
        with service.services.database.session() as session:
            revoke_token(session, list_tokens(session)[0].id, NOON)

    assert service.client.get("/v1/me", headers=headers).status_code == 200
    gate = service.client.app.state.gate  # type: ignore[attr-defined]
    asked = gate.counts_still
    monkeypatch.setattr(gate, "counts_still", lambda caller: (revoke(), asked(caller))[1])
    assert service.client.get("/v1/searches/flowers/events", headers=headers).status_code == 200  # and it ended
    assert service.client.get("/v1/me", headers=headers).status_code == 401


def test_logs_come_in_parts(service: SmallService) -> None:
    service.submit("first")
    with service.services.database.reading() as session:
        log = log_of(service.services.settings, session.scalars(select(SearchRow)).one())
    ask = "/v1/searches/first/logs"
    assert service.client.get(ask).json() == {"text": "", "next": 0, "size": 0}
    log.parent.mkdir(parents=True)
    log.write_text("<b>one</b>\ntwo t0001\n")
    assert service.client.get(ask).json() == {"text": "<b>one</b>\ntwo t0001\n", "next": 21, "size": 21}
    assert service.client.get(ask, params={"after": 11}).json()["text"] == "two t0001\n"
    assert service.client.get(ask, params={"trial": "t0001"}).json()["text"] == "two t0001\n"
    assert service.client.get(ask, params={"last": 12}).json()["text"] == "two t0001\n"
    assert service.client.get("/v1/searches/none/logs").status_code == 404
