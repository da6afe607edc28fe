"""Searches over HTTP: what is asked for is written down, and what is wrong is told."""

from __future__ import annotations

import pytest
from small_service import SmallService

from tuner.service.services import QueuedSearch


def test_a_submission_waits_and_can_be_seen(service: SmallService) -> None:
    answer = service.submit("first", budget={"trials": 3}, priority=2)
    assert answer.status_code == 201
    assert answer.headers["Location"] == "/v1/searches/first"
    service.engine.waiting = [QueuedSearch("first", "me", 2, 1, "another one runs")]
    shown = service.client.get("/v1/searches/first").json()
    assert {key: shown[key] for key in ("name", "state", "owner", "space", "data", "priority", "place", "reason")} == {
        "name": "first",
        "state": "queued",
        "owner": "me",
        "space": "quick",
        "data": "cats",
        "priority": 2,
        "place": 1,
        "reason": "another one runs",
    }
    assert shown["progress"] is None
    assert shown["facts"] is None
    assert service.client.get("/v1/queue").json()["items"][0]["name"] == "first"


def test_the_same_key_gives_the_same_search(service: SmallService) -> None:
    key = {"Idempotency-Key": "k-1"}
    first = service.client.post("/v1/searches", json={"space": "quick", "data": "cats"}, headers=key)
    again = service.client.post("/v1/searches", json={"space": "quick", "data": "cats"}, headers=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json()["name"] == again.json()["name"]
    other = service.client.post("/v1/searches", json={"space": "quick", "data": "cats", "seed": 1}, headers=key)
    assert other.status_code == 409
    assert other.headers["content-type"] == "application/problem+json"
    assert "was used for another submission" in other.json()["detail"]
    assert len(service.client.get("/v1/searches").json()["items"]) == 1


@pytest.mark.parametrize(
    ("given", "field", "told"),
    [
        ({"space": "quick"}, "data", "required"),
        ({"space": "quick", "data": "cats", "epoch": 3}, "epoch", "not permitted"),
        ({"space": "quick", "data": "cats", "budget": {"trials": 0}}, "budget.trials", "0: "),
        ({"space": "quik", "data": "cats"}, "space", "did you mean 'quick'?"),
        ({"space": "../../../etc/passwd", "data": "cats"}, "space", "no shipped space"),
        ({"space": "quick", "data": "/etc"}, "data", "'/etc': "),
        ({"space": "quick", "data": "dogs"}, "data", "no data set 'dogs'"),
        ({"data": "cats"}, "", "give either space"),
        ({"space": "quick", "data": "cats", "name": "../x"}, "name", "'../x': "),
        ({"space": "quick", "data": "cats", "warm_start": "none"}, "warm_start", "no search 'none'"),
        ({"space": "quick", "data": "cats", "plugins": ["x.py"]}, "plugins", "not permitted"),
        ({"space": "quick", "data": "cats", "notify": "json://x"}, "notify", "not permitted"),
        ({"space": "quick", "data": "cats", "results": "/tmp"}, "results", "not permitted"),
    ],
)
def test_mistakes_are_told_with_their_fields(
    service: SmallService, given: dict[str, object], field: str, told: str
) -> None:
    answer = service.client.post("/v1/searches", json=given)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == 422
    assert any(mistake["field"] == field and told in mistake["message"] for mistake in problem["errors"]), problem


def test_names_are_taken_once(service: SmallService) -> None:
    service.submit("first")
    assert service.submit("first").status_code == 409
    (service.results / "older").mkdir(parents=True)
    assert service.submit("older").status_code == 409


def test_lists_come_in_parts(service: SmallService) -> None:
    names = [f"s{number}" for number in range(7)]
    for name in names:
        service.submit(name)
    found: list[str] = []
    cursor = None
    while True:
        page = service.client.get("/v1/searches", params={"limit": 3, **({"cursor": cursor} if cursor else {})}).json()
        found += [item["name"] for item in page["items"]]
        service.submit(f"later-{len(found)}")  # what is submitted meanwhile is not in the rest
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == names[::-1]


def test_lists_are_filtered(service: SmallService) -> None:
    service.submit("one")
    service.submit("two", space="default")
    service.be("two", "running")

    def names(**given: object) -> list[str]:
        return [item["name"] for item in service.client.get("/v1/searches", params=given).json()["items"]]

    assert names(state="running") == ["two"]
    assert names(state=["running", "queued"]) == ["two", "one"]
    assert names(space="quick") == ["one"]
    assert names(owner="me") == ["two", "one"]
    assert names(owner="ada") == []


@pytest.mark.parametrize("cursor", ["x", "W10", "WzEsIDJd", "!!!", "bnVsbA", "WyJub3doZW4iLCAiYSJd"])
def test_cursors_of_others_are_refused(service: SmallService, cursor: str) -> None:
    answer = service.client.get("/v1/searches", params={"cursor": cursor})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "cursor")


def test_a_search_is_stopped_resumed_extended_and_deleted(service: SmallService) -> None:
    service.submit("first")

    def ask(verb: str, **given: object) -> tuple[int, str]:
        answer = service.client.post(f"/v1/searches/first/{verb}", json=given or None)
        return answer.status_code, answer.json().get("state", answer.json().get("detail"))

    service.be("first", "running")
    assert ask("stop") == (202, "stopping")
    service.be("first", "stopped")
    assert ask("resume", hours=2) == (202, "queued")
    assert ask("resume")[0] == 409
    service.be("first", "complete")
    assert ask("extend")[0] == 422
    deleted = service.client.delete("/v1/searches/first")
    assert (deleted.status_code, deleted.json()["state"]) == (202, "deleted")
    assert service.client.get("/v1/searches").json()["items"] == []
    assert ask("stop")[0] == 404
    assert ask("restore")[0] == 202
    assert ask("restore")[0] == 409
    assert service.client.post("/v1/searches/none/stop").status_code == 404


def test_a_space_of_ones_own_is_read_before_it_waits(service: SmallService) -> None:
    bad = service.submit("own", space=None, space_yaml="version: 1\nbaseline: {backbone: lite0}\naxes: {depth: 1}\n")
    assert bad.status_code == 422
    assert any("space.yaml:3" in mistake["message"] for mistake in bad.json()["errors"])
    text = service.client.get("/v1/spaces/quick").json()["text"]
    assert service.submit("own", space=None, space_yaml=text).status_code == 201


def test_what_has_begun_is_told_as_the_command_line_tells_it(service: SmallService) -> None:
    told = service.told("flowers")
    told.trial("t0001", 0, 0.25, 0.5)
    shown = service.client.get("/v1/searches/flowers").json()
    assert shown["owner"] is None
    assert shown["progress"]["best_value"] == 0.5
    assert shown["facts"]["best"] == "t0001"
    assert service.client.get("/v1/searches").json()["items"] == [shown]


def test_a_mistyped_filter_is_told(service: SmallService) -> None:
    answer = service.client.get("/v1/searches", params={"stat": "running"})
    assert (answer.status_code, "did you mean 'state'?" in answer.json()["detail"]) == (422, True)
    assert service.client.get("/v1/me", params={"a": 1}).status_code == 422
