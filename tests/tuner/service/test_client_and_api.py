"""The Python client asks for what the API's description has, and knows all that it has."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from small_service import SmallService

from trainable.errors import UserError
from tuner.client import Client, answers

NOT_COVERED = {
    ("GET", "/healthz"),  # for who watches over servers
    ("GET", "/metrics"),
    ("GET", "/v1/data/{name}/pictures"),  # for pages
    ("GET", "/v1/data/{name}/pictures/{number}"),
}
SUBMISSION = {"space": "quick", "data": "cats"}
CALLS: Mapping[str, Callable[[Client, Path], Any]] = {
    "me": lambda client, _: client.me(),
    "health": lambda client, _: client.health(),
    "queue": lambda client, _: client.queue(),
    "spaces": lambda client, _: client.spaces(),
    "space": lambda client, _: client.space("quick"),
    "backbones": lambda client, _: client.backbones(),
    "searches": lambda client, _: list(client.searches(["running", "queued"], owner="ada", space="quick")),
    "search": lambda client, _: client.search("first"),
    "submit": lambda client, _: client.submit(SUBMISSION, key="k-1"),
    "plan": lambda client, _: client.plan({**SUBMISSION, "data": "none"}),
    "check": lambda client, _: client.check({**SUBMISSION, "data": "none"}),
    "stop": lambda client, _: client.stop("first"),
    "resume": lambda client, _: client.resume("first", hours=2, gpu_hours=1, disk_gib=3, accept_changes=True),
    "extend": lambda client, _: client.extend("first", trials=2, epochs=None, space="quick", hours=1),
    "delete": lambda client, _: client.delete("first"),
    "restore": lambda client, _: client.restore("first"),
    "trials": lambda client, _: list(client.trials("first")),
    "trial": lambda client, _: client.trial("first", "t0001"),
    "curve": lambda client, _: client.curve("first", "t0001"),
    "leaderboard": lambda client, _: client.leaderboard("first", "csv", top=2),
    "best_yaml": lambda client, _: client.best_yaml("first"),
    "report_html": lambda client, _: client.report_html("first"),
    "conclusions": lambda client, _: client.conclusions("first"),
    "logs": lambda client, _: client.logs("first", after=3),
    "printed": lambda client, _: list(client.printed("none")),
    "events": lambda client, _: list(client.events("first", 2, follow=False)),
    "data_sets": lambda client, _: list(client.data_sets()),
    "data_set": lambda client, _: client.data_set("cats"),
    "register": lambda client, _: client.register("dogs", "/data/dogs", {"label_column": "species"}),
    "upload": lambda client, folder: client.upload("birds", folder),
    "delete_data_set": lambda client, _: client.delete_data_set("cats"),
}


@pytest.fixture
def requests(service: SmallService, tmp_path: Path) -> list[httpx.Request]:
    """What the client asks for when all its methods are called."""
    asked: list[httpx.Request] = []
    service.client.event_hooks = {"request": [asked.append]}
    (tmp_path / "upload").mkdir()
    (tmp_path / "upload" / "labels.csv").write_text("image,labels\n")
    client = Client("http://localhost", http=service.client)
    for call in CALLS.values():
        with suppress(UserError):
            call(client, tmp_path / "upload")
    service.client.event_hooks = {}
    return asked


@pytest.fixture
def description(service: SmallService) -> dict[str, Any]:
    return dict(service.client.get("/v1/openapi.json").json())


def test_all_methods_are_called() -> None:
    assert CALLS.keys() == {name for name in vars(Client) if not name.startswith("_")} - {"close", "url"}


@pytest.mark.real  # an upload is inspected by a process of its own
def test_the_client_asks_for_what_the_api_has_and_for_all_of_it(
    requests: list[httpx.Request], description: dict[str, Any]
) -> None:
    for request in requests:
        operation = operation_of(request, description)
        declared = {(one["in"], one["name"].lower()) for one in operation.get("parameters", [])}
        queried = {("query", name.lower()) for name in request.url.params}
        sent = {("header", name) for name in ("idempotency-key", "last-event-id") if name in request.headers}
        assert queried | sent <= declared, request.url
        assert body_fields(request) <= fields_of_body(operation, description), request.url
    asked = {(request.method, template_of(request, description)) for request in requests}
    there = {(verb.upper(), path) for path, verbs in description["paths"].items() for verb in verbs if verb != "head"}
    assert asked == there - NOT_COVERED


@pytest.mark.parametrize(
    "model",
    [
        *(answers.Me, answers.Health, answers.Search, answers.Progress, answers.Trial, answers.Point, answers.Curve),
        *(answers.Logs, answers.Queued, answers.Space, answers.Backbone, answers.DataSet),
    ],
)
def test_answers_are_read_with_the_names_that_they_have(
    model: type[answers.Answer], description: dict[str, Any]
) -> None:
    schemas = description["components"]["schemas"]
    name = {answers.Space: "SpaceText", answers.DataSet: "Data"}.get(model, model.__name__)
    schema = schemas[f"{name}Answer"]
    assert model.model_fields.keys() <= schema["properties"].keys()
    needed = {name for name, field in model.model_fields.items() if field.is_required()}
    assert needed <= set(schema["required"])


def operation_of(request: httpx.Request, description: dict[str, Any]) -> dict[str, Any]:
    return dict(description["paths"][template_of(request, description)][request.method.lower()])


def template_of(request: httpx.Request, description: dict[str, Any]) -> str:
    """The path of the description that a request is for; one without parameters before others."""
    paths = sorted(description["paths"], key=lambda path: path.count("{"))
    found = [path for path in paths if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), request.url.path)]
    assert found, request.url.path
    return str(found[0])


def body_fields(request: httpx.Request) -> set[str]:
    return set(json.loads(request.content)) if request.headers.get("content-type") == "application/json" else set()


def fields_of_body(operation: dict[str, Any], description: dict[str, Any]) -> set[str]:
    return {
        name
        for content in operation.get("requestBody", {}).get("content", {}).values()
        for schema in resolved(content["schema"], description)
        for name in schema.get("properties", {})
    }


def resolved(schema: dict[str, Any], description: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A schema, or those that it chooses from."""
    for part in schema.get("anyOf") or schema.get("oneOf") or [schema]:
        name = part.get("$ref", "").rpartition("/")[2]
        yield description["components"]["schemas"][name] if name else part
