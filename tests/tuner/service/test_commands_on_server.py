"""Commands with `--remote` print what the same command prints where the results are, to the byte."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from service_rows import NOON
from small_searches import RunTuner
from small_service import SmallService
from sqlalchemy import select

from tuner.cli import elsewhere
from tuner.client import Client
from tuner.client.events import Event
from tuner.service.database.rows import SearchRow
from tuner.service.ids import new_id


@pytest.fixture
def server(service: SmallService, searched_folder: Path, monkeypatch: pytest.MonkeyPatch) -> SmallService:
    """A server with a search that has been run, to which `--remote` leads."""
    shutil.copytree(searched_folder, service.results / "searched")
    with service.services.database.session() as session:
        row = SearchRow(id=new_id(), name="searched", submission={}, submitted_at=NOON, desired="run", desired_at=NOON)
        row.state, row.state_since = "complete", NOON
        session.add(row)
    client = Client("http://localhost", http=service.client)
    monkeypatch.setattr(elsewhere, "connected", lambda _: contextlib.nullcontext(client))
    return service


@pytest.mark.parametrize(
    "command",
    [
        ["ls"],
        ["ls", "--json"],
        ["show", "searched"],
        ["show", "searched", "--json"],
        ["show", "searched", "t0002"],
        ["show", "searched", "t0002", "--json"],
        ["leaderboard", "searched"],
        ["leaderboard", "searched", "--top", "2"],
        ["leaderboard", "searched", "--format", "csv"],
        ["leaderboard", "searched", "--format", "json", "--top", "1"],
        ["logs", "searched"],
    ],
    ids=" ".join,
)
def test_what_is_printed_is_the_same(command: list[str], server: SmallService, run_tuner: RunTuner) -> None:
    here = run_tuner(*command, "--results", server.results)
    there = run_tuner(*command, "--remote")
    assert here.code == 0
    assert there == here


def test_a_table_goes_into_a_file_of_this_machine(server: SmallService, run_tuner: RunTuner, tmp_path: Path) -> None:  # noqa: ARG001
    out = tmp_path / "board.csv"
    there = run_tuner("leaderboard", "searched", "--format", "csv", "--out", out, "--remote")
    assert (there.code, there.out) == (0, "")
    assert out.read_text() == run_tuner("leaderboard", "searched", "--format", "csv", "--remote").out
    assert "nothing is overwritten" in run_tuner("leaderboard", "searched", "--out", out, "--remote").err


def test_a_search_that_waits_is_listed(server: SmallService, run_tuner: RunTuner) -> None:
    ran = run_tuner("submit", "quick", "--data", "cats", "--name", "new", "--remote")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == (
        "search new is queued at http://localhost, whatever becomes of this machine\n"
        "  tuner logs new --follow --remote\n"
    )
    lines = run_tuner("ls", "--remote").out.splitlines()
    assert [line.split()[:2] for line in lines[2:]] == [["new", "queued"], ["searched", "complete"]]
    assert "status: queued" in run_tuner("show", "new", "--remote").out
    server.be("new", "running")
    assert run_tuner("ls", "--remote").out.splitlines()[2].split() == ["new", "running"]


def test_what_the_server_knows_better_than_the_log_is_shown(server: SmallService, run_tuner: RunTuner) -> None:
    with server.services.database.session() as session:
        row = session.scalars(select(SearchRow)).one()
        row.state, row.refused_wish, row.reason = "stopped", 0, "resume it with accept_changes: code: a -> b"
    shown = run_tuner("show", "searched", "--remote").out
    assert "status: stopped" in shown
    assert "resume it with accept_changes: code: a -> b" in shown


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["show", "searchd"], "there is no search 'searchd'; did you mean 'searched'?"),
        (["show", "searched", "t0009"], "has no trial 't0009'"),
        (["submit", "quick", "--data", "dogs"], "no data set 'dogs'"),
        (["submit", "quick", "--data", "cats", "--name", "searched"], "nothing is overwritten"),
        (["resume", "searched"], "there is nothing to resume"),
        (["stop", "searched"], "there is nothing to stop"),
        (["extend", "searched", "--trials", "20x"], "--trials '20x': must be a number to add"),
        (["ls", "--results", "elsewhere"], "--results: a server keeps its searches itself"),
        (["leaderboard", "searched", "--format", "html", "--top", "1"], "--top: a server has its page"),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else "",
)
@pytest.mark.usefixtures("server")
def test_what_is_refused_there_is_one_line_here(command: list[str], told: str, run_tuner: RunTuner) -> None:
    ran = run_tuner(*command, "--remote")
    assert (ran.code, ran.out) == (2, "")
    assert told in ran.err
    assert len(ran.err.splitlines()) == 1


def test_a_search_is_watched_to_its_end(
    server: SmallService, run_tuner: RunTuner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What its process prints is printed here, and its exit code is this command's."""
    log = server.services.settings.drivers
    log.mkdir(parents=True)
    states = iter(["starting", "running", "failed"])

    def engine_goes_on(_: float) -> None:
        with server.services.database.session() as session:
            row = session.query(SearchRow).filter_by(name="new").one()
            row.state = next(states)
            row.exit_code, row.reason = (1, "out of disk") if row.state == "failed" else (None, "")
            with (log / f"{row.id}.log").open("a") as printed:
                printed.write(f"it is {row.state}\n")

    monkeypatch.setattr("tuner.client.client.time.sleep", engine_goes_on)
    ran = run_tuner("search", "quick", "--data", "cats", "--name", "new", "--remote")
    assert ran.out == "it is starting\nit is running\nit is failed\n"
    assert ran.err.splitlines()[-1] == "search new failed (out of disk)"
    assert ran.code == 1


def test_following_ends_with_the_search(
    server: SmallService, run_tuner: RunTuner, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Client.events

    def events(client: Client, name: str, after: int = 0, *, follow: bool = True) -> Iterator[Event]:
        told = list(asked(client, name, after, follow=False))
        if not follow:
            return iter(told)
        states = [Event("state", {"state": state}) for state in ("queued", "running", "complete")]
        return iter([states[0], *told[:4], states[1], *told[4:-2], states[2]])  # the end comes before the last events

    monkeypatch.setattr(Client, "events", events)
    there = run_tuner("logs", "searched", "--follow", "--remote")
    assert there == run_tuner("logs", "searched", "--results", server.results)


@pytest.mark.real
@pytest.mark.usefixtures("server")
def test_what_lies_here_is_uploaded_and_searched_there(
    run_tuner: RunTuner, class_folders: Path, tmp_path: Path
) -> None:
    sent = run_tuner("upload", class_folders, "--name", "dark-or-red", "--split", "80/20")
    assert (sent.code, sent.err) == (0, "")
    assert sent.out.startswith(
        "data set dark-or-red is at http://localhost: multiclass, 2 labels; images: train 32, val 8"
    )
    assert run_tuner("submit", "quick", "--data", "dark-or-red", "--name", "there", "--remote").code == 0
    again = run_tuner("upload", class_folders, "--name", "dark-or-red")
    assert (again.code, again.out) == (2, "")
    assert "data set 'dark-or-red' exists" in again.err
    (tmp_path / "empty").mkdir()
    for _ in range(2):  # what was refused makes way
        refused = run_tuner("upload", tmp_path / "empty", "--name", "nothing")
        assert (refused.code, refused.out) == (2, "")
        assert "exists" not in refused.err
