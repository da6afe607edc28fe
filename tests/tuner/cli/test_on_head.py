"""Commands that are handed to a cluster's head: what of a command line goes there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from small_searches import MakeSpace, RunTuner

from tuner.ray_backend import jobs as rooms
from tuner.ray_backend.jobs import Argument, Job, Shipped


class Head:
    """Takes note of what it is to run."""

    def __init__(self) -> None:
        self.ran: list[list[Argument]] = []
        self.started: list[tuple[str, str]] = []

    def run(self, cluster: str, arguments: Sequence[Argument], tell: Callable[[str], None]) -> int:
        self.ran.append([cluster, *arguments])
        tell("told\n")
        return 3

    def start(self, arguments: Sequence[Argument], name: str, search: str) -> Job:
        self.ran.append(list(arguments))
        self.started.append((name, search))
        return Job("thaw-1", "")

    def finish(self, job: Job, tell: Callable[[str], None]) -> int:  # noqa: ARG002
        tell("its lines\n")
        return 2


@pytest.fixture
def head(monkeypatch: pytest.MonkeyPatch) -> Head:
    head = Head()

    @contextmanager
    def jobs_of(cluster: str) -> Iterator[Any]:
        assert cluster == "c.yaml"
        yield head

    monkeypatch.setattr(rooms, "jobs_of", jobs_of)
    monkeypatch.setattr(rooms, "run_on_head", head.run)
    return head


@pytest.mark.parametrize(
    ("given", "there"),
    [
        (["ls"], ["ls"]),
        (["ls", "--json", "--results", "/r"], ["ls", "--results=/r", "--json"]),
        (["stop", "birds", "--wait", "5"], ["stop", "birds", "--wait=5.0"]),
        (["show", "birds", "t0001"], ["show", "birds", "t0001"]),
        (["leaderboard", "birds", "--top", "3"], ["leaderboard", "birds", "--top=3"]),
    ],
)
def test_the_same_command_runs_there(given: list[str], there: list[str], head: Head, run_tuner: RunTuner) -> None:
    ran = run_tuner(*given, "--cluster", "c.yaml")
    assert (ran.code, ran.out) == (3, "told\n")
    assert head.ran == [["c.yaml", *there]]


def test_settings_of_this_machine_stay_here(head: Head, run_tuner: RunTuner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THAW_RESULTS", "/here")
    run_tuner("ls", "--cluster", "c.yaml")
    assert head.ran == [["c.yaml", "ls"]]


def test_a_search_is_begun_there_with_the_files_of_this_machine(
    head: Head, run_tuner: RunTuner, make_space: MakeSpace
) -> None:
    space = make_space()
    options = ["--data", "/there/labels.csv", "--trials", "4", "--set", "epochs=3", "--set", "batch_size=8"]
    ran = run_tuner("submit", space, *options, "--name", "birds", "--cluster", "c.yaml")
    assert (ran.code, ran.err) == (0, "")
    assert "tuner logs birds --follow --cluster c.yaml" in ran.out
    (verb, *arguments) = head.ran[0]
    assert verb == "search"
    assert Shipped(space) in arguments
    wanted = {"--data=/there/labels.csv", "--trials=4", "--set=epochs=3", "--set=batch_size=8", "--name=birds"}
    assert set(arguments) == {Shipped(space), *wanted, "--address=auto"}
    assert head.started == [("thaw-birds", "birds")]


def test_a_shipped_space_is_there_already_and_names_the_search(head: Head, run_tuner: RunTuner) -> None:
    ran = run_tuner("submit", "quick", "--data", "/d", "--cluster", "c.yaml", "--follow")
    assert (ran.code, ran.out.splitlines()[-1]) == (2, "its lines")
    assert head.ran[0][:2] == ["search", "quick"]
    assert head.started[0][1].startswith("quick-2")


@pytest.mark.usefixtures("head")
def test_mistakes_of_a_space_are_found_here(run_tuner: RunTuner, tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text("version: 1\n")
    ran = run_tuner("submit", tmp_path / "space.yaml", "--data", "/d", "--cluster", "c.yaml")
    assert ran.code == 2
    assert "space.yaml" in ran.err


def test_going_on_is_begun_there(head: Head, run_tuner: RunTuner, make_space: MakeSpace) -> None:
    space = make_space()
    run_tuner("resume", "/r/birds", "--accept-changes", "--cluster", "c.yaml")
    run_tuner("extend", "birds", "--trials", "+4", "--space", space, "--cluster", "c.yaml")
    assert head.ran == [
        ["resume", "/r/birds", "--accept-changes", "--address=auto"],
        ["extend", "birds", "--trials=+4", "--space", Shipped(space), "--address=auto"],
    ]
    assert [search for _, search in head.started] == ["birds", "birds"]


def test_addresses_of_services_go_there_in_files_only(head: Head, run_tuner: RunTuner, tmp_path: Path) -> None:
    ran = run_tuner("resume", "birds", "--notify", "slack://open-sesame", "--cluster", "c.yaml")
    assert (ran.code, head.ran) == (2, [])
    assert "--notify: the cluster would keep the address" in ran.err
    assert "open-sesame" not in ran.err
    file = tmp_path / "where.txt"
    file.write_text("slack://open-sesame")
    run_tuner("resume", "birds", "--notify", file, "--cluster", "c.yaml")
    assert head.ran == [["resume", "birds", "--notify", Shipped(file), "--address=auto"]]
