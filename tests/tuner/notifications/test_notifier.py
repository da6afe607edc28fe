"""What is told of a search as it goes on and ends, and that nothing of where to is written down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from small_searches import MakeSpace

from trainable.errors import UserError
from tuner import proved
from tuner.config import SearchConfig, parse_options
from tuner.notifications import notifier as room
from tuner.notifications.delivery import Channel
from tuner.notifications.messages import Message
from tuner.notifications.notifier import Notifier
from tuner.ray_backend import tune_loop
from tuner.run import resume_search, run_search
from tuner.store import Store

SECRET = "json://user:open-sesame@localhost/"


class Services:
    """Take messages instead of the process that would hand them over."""

    def __init__(self) -> None:
        self.taken: list[Message] = []
        self.failures: list[str] = []

    def deliver(self, channels: Sequence[Channel], message: Message) -> list[str]:
        assert [channel.get_secret_value() for channel in channels] == [SECRET]
        self.taken.append(message)
        return list(self.failures)

    @property
    def titles(self) -> list[str]:
        return [message.title for message in self.taken]


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Services:
    services = Services()
    monkeypatch.setattr(room, "deliver", services.deliver)
    monkeypatch.setattr(proved, "prove_channels", lambda _: None)
    return services


@pytest.fixture
def config(make_space: MakeSpace, labels_csv: Path, tmp_path: Path) -> SearchConfig:
    given: dict[str, Any] = {"name": "new", "trials": 2, "results": tmp_path / "results", "data": {"path": labels_csv}}
    return parse_options(SearchConfig, space=str(make_space()), notify=[SECRET], **given)


def notes(store: Store) -> list[str]:
    return [event["text"] for event in store.events() if event["kind"] == "note"]


def written_with(folder: Path, text: str) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


@pytest.mark.usefixtures("_without_ray")
def test_the_end_is_told_and_a_failure_noted(config: SearchConfig, services: Services) -> None:
    services.failures = ["--notify 1 (json): was not delivered"]
    store = run_search(config)
    assert services.titles == ["Search new is complete"]
    assert "2 of 2 trials" in services.taken[0].body
    assert notes(store) == services.failures
    assert written_with(config.results.parent, "open-sesame") == []
    assert "open-sesame" not in repr(config)


@pytest.mark.usefixtures("_without_ray")
def test_a_bug_is_told_and_so_is_the_end_after_going_on(
    config: SearchConfig, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(tune_loop, "run_phases", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run_search(config)
    assert services.titles == ["Search new has failed"]
    assert services.taken[0].body.startswith("ZeroDivisionError: division by zero\n`tuner resume new` goes on\n")
    store = Store.open("new", config.results)
    resume_search(store)
    assert len(services.taken) == 1  # to whom, has to be said again
    assert written_with(config.results, "open-sesame") == []


@pytest.fixture
def begun(tmp_path: Path) -> Store:
    store = Store.create(tmp_path, "birds")
    store.append("search_started", name="birds", objective={"metric": "f2", "direction": "maximize"}, trials=10)
    return store


def follow(store: Store, spent: Callable[[], str] = str) -> Notifier:
    notifier = Notifier(store, [Channel(SECRET)], spent)
    store.listeners.append(notifier.put)
    return notifier


def finish(store: Store, *trials: int) -> None:
    for number in trials:
        store.append("trial_ended", f"t{number:04}", status="complete")


def test_few_trials_left_are_told_once_also_after_going_on(begun: Store, services: Services) -> None:
    finish(begun, *range(1, 9))
    notifier = follow(begun)
    finish(begun, 9)
    begun.append("note", text="anything")
    begun.append("trial_started", "t0010", number=9)
    finish(begun, 10)
    begun.append("search_ended", status="complete", reason="")
    notifier.end()
    assert services.titles == ["Search birds: 9 of 10 trials are through", "Search birds is complete"]


def test_time_that_is_nearly_over_is_told_once(begun: Store, services: Services) -> None:
    spent = iter(["", "", "90% of 2 hours are over"])
    notifier = follow(begun, lambda: next(spent))
    for _ in range(5):
        begun.append("epoch", "t0001", epoch=1)
    begun.append("search_ended", status="stopped", reason="2 hours are over")
    notifier.end()
    assert services.titles == ["Search birds: 90% of 2 hours are over", "Search birds was stopped"]


def test_a_search_that_goes_nowhere_is_not_told_of(begun: Store, services: Services) -> None:
    begun.append("search_ended", status="stopped", reason="interrupted")
    follow(begun).end()  # its end was told by an earlier run
    assert services.taken == []


def test_failures_are_noted_with_the_next_event(begun: Store, services: Services) -> None:
    services.failures = ["--notify 1: was not delivered"]
    notifier = follow(begun, lambda: "nearly")
    begun.append("epoch", "t0001", epoch=1)
    begun.append("search_ended", status="complete", reason="")
    notifier.end()
    assert notes(begun) == [*services.failures] * 2


def test_addresses_may_be_one_text() -> None:
    given = {"name": "new", "space": "quick", "data": {"path": Path("d")}}
    assert parse_options(SearchConfig, **given, notify="a://b c://d").notify == (Channel("a://b"), Channel("c://d"))
    with pytest.raises(UserError, match="--notify 3"):
        parse_options(SearchConfig, **given, notify=[3])
