"""Whether the server is well, told to people and programs."""

from __future__ import annotations

from small_service import SmallService

from tuner.service.services import Health


def test_it_is_alive_and_ready(service: SmallService) -> None:
    assert service.client.get("/healthz").text == "ok\n"
    assert service.client.get("/readyz").status_code == 200
    service.engine.told = Health(is_ready=False, problem="Ray does not answer")
    answer = service.client.get("/readyz")
    assert (answer.status_code, answer.json()["problem"]) == (503, "Ray does not answer")
    assert service.client.get("/healthz").status_code == 200
    assert [service.client.head(path).status_code for path in ("/healthz", "/readyz")] == [200, 503]


def test_who_asks_on_this_machine_is_its_user(service: SmallService) -> None:
    assert service.client.get("/v1/me").json() == {"name": "me", "scope": "admin"}


def test_numbers_for_prometheus(service: SmallService) -> None:
    service.submit("first")
    told = service.told("flowers")
    told.trial("t0001", 0, 0.5)
    service.client.get("/v1/searches/none-of-that-name")
    service.client.get("/nowhere/" + "x" * 50)
    text = service.client.get("/metrics").text
    assert 'thaw_searches{state="queued"} 1.0' in text
    assert 'thaw_searches{state="running"} 1.0' in text
    assert 'thaw_trials{status="complete"} 1.0' in text
    assert 'thaw_request_seconds_count{operation="get_search",status="404"} 1.0' in text
    assert "xxx" not in text


def test_what_there_is_to_search_with(service: SmallService) -> None:
    spaces = service.client.get("/v1/spaces").json()["items"]
    assert "quick" in [space["name"] for space in spaces]
    nested = next(space["name"] for space in spaces if "/" in space["name"])
    assert "axes:" in service.client.get(f"/v1/spaces/{nested}").json()["text"]
    assert service.client.get("/v1/spaces/quik").json()["detail"].endswith("did you mean 'quick'?")
    assert "lite0" in [backbone["name"] for backbone in service.client.get("/v1/backbones").json()["items"]]


def test_there_is_nothing_at_other_addresses(service: SmallService) -> None:
    answer = service.client.get("/v1/nothing")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    wrong = service.client.put("/v1/searches")
    assert (wrong.status_code, wrong.json()["title"]) == (405, "Method Not Allowed")
