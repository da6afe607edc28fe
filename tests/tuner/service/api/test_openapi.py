"""The API does as it describes itself, whatever is sent: schemathesis makes up the requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import schemathesis
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi.checks import positive_data_acceptance
from small_service import SmallService, small_service

from tuner.service.access.rates import Rate
from tuner.service.api import answers
from tuner.service.data.inspections import Inspections
from tuner.service.database.connection import Database
from tuner.service.submissions import proving
from tuner.service.watching.broadcasting import Broadcaster

FEW, MANY = 4, 150
"""of each kind, for each operation"""
NOT_MEANT: list[Any] = [positive_data_acceptance]
"""whether the names that are sent are known is not in a schema"""


@pytest.fixture
def fuzzed(service_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallService]:
    """A service with a search that has told something, where a token is asked for and no command is run."""

    async def nothing(*_: object) -> dict[str, Any]:
        return {}

    monkeypatch.setattr(proving, "plan", nothing)
    monkeypatch.setattr(proving, "check", nothing)
    for door in ("submitting", "api.searches"):
        monkeypatch.setattr(f"tuner.service.{door}.require_space", nothing)
    monkeypatch.setattr(Inspections, "begin", lambda *_: None)
    monkeypatch.setattr(Broadcaster, "start", lambda *_: None)  # each request has an event loop of its own
    with small_service(service_database, tmp_path, requests_per_minute=1e9) as service:
        service.client.app.state.gate._refused = Rate(1e9, 1e9)  # type: ignore[attr-defined]
        told = service.told("cats-quick")
        told.trial("t0007", 0, 0.25, 0.5)
        yield service


def test_each_answer_has_an_example_that_is_one(service: SmallService) -> None:
    described = service.client.get("/v1/openapi.json").json()
    shown = 0
    for model in (answers.SearchAnswer, *answers.Answer.__subclasses__()):
        for example in described["components"]["schemas"].get(model.__name__, {}).get("examples", ()):
            empty = dict.fromkeys(model.model_fields)  # the description leaves out what is null
            model.model_validate({**empty, **example})
            assert set(example) <= set(empty), model
            shown += 1
    assert shown > 8


def try_all(service: SmallService, examples: int) -> int:
    """How many requests were made; fails at the first that is not answered as it should be."""
    schema = schemathesis.openapi.from_asgi("/v1/openapi.json", service.client.app)
    headers = service.token("ada", "admin")
    asked = 0

    def ask(case: schemathesis.Case) -> None:
        nonlocal asked
        asked += 1
        if case.operation.path.endswith("/events"):
            case.query = {**(case.query or {}), "follow": "false"}  # else it does not end
        made_up = case.meta.components.get(ParameterLocation.HEADER) if case.meta else None
        is_wrong = made_up is not None and made_up.mode.is_negative  # such as no token: then it is to stay so
        case.call_and_validate(headers=None if is_wrong else headers, excluded_checks=NOT_MEANT)

    for found in schema.get_all_operations():
        for mode in schemathesis.GenerationMode:
            try_some(found.ok().as_strategy(generation_mode=mode), examples, ask)
    return asked


def try_some(cases: Any, examples: int, ask: Callable[[schemathesis.Case], None]) -> None:
    """The same ones in every run."""
    slow_is_fine = list(hypothesis.HealthCheck)

    @hypothesis.settings(
        max_examples=examples, derandomize=True, database=None, deadline=None, suppress_health_check=slow_is_fine
    )
    @hypothesis.given(case=cases)
    def try_one(case: schemathesis.Case) -> None:
        ask(case)

    with suppress(hypothesis.errors.Unsatisfiable):  # there is nothing to send wrongly
        try_one()


@pytest.mark.real
def test_it_does_as_it_describes_itself(fuzzed: SmallService) -> None:
    assert try_all(fuzzed, FEW) > 150


@pytest.mark.long
def test_it_does_so_for_long(fuzzed: SmallService) -> None:
    assert try_all(fuzzed, MANY) > 5000
