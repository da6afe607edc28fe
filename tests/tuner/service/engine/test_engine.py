"""What the engine makes of searches, step by step, with drivers that do as they are told."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fake_drivers import FakeDrivers, FakeRay
from service_rows import NOON
from sqlalchemy import select

from tuner.changes import IS_NOT_WHAT_IT_WAS
from tuner.service import searches
from tuner.service.database.connection import Database
from tuner.service.database.rows import SearchRow, UserRow
from tuner.service.engine.drivers.launcher import Handle
from tuner.service.engine.engine import LEAVING, Engine
from tuner.service.engine.ledger import Ledger
from tuner.service.engine.ray_there import Cluster
from tuner.service.ids import new_id
from tuner.service.settings import ServiceSettings
from tuner.service.submissions.submission import Extend, GoOn, Submission
from tuner.store import Store


class Bench:
    """An engine on a clock of its own, and what people do to its database."""

    def __init__(self, database: Database, folder: Path, **settings: Any) -> None:
        self.database, self.folder = database, folder
        self.drivers, self.ray = FakeDrivers(folder / "results"), FakeRay()
        url = f"sqlite:///{folder}/service.db"
        given = {"results": folder / "results", "state": folder / "state", "database_url": url, **settings}
        self.settings = ServiceSettings.model_validate(given)
        self.now = NOON
        self.restart()

    def restart(self) -> None:
        """The server is killed, and another one comes."""
        self.engine = Engine(Ledger(self.database, self.settings), self.drivers, self.ray)

    def step(self, seconds: float = 1.0, times: int = 1) -> None:
        for _ in range(times):
            self.now += timedelta(seconds=seconds)
            self.engine.step(self.now)

    def submit(self, name: str, owner: str = "ada", **given: Any) -> str:
        submission = Submission.model_validate({"space": "quick", "data": "cats", "name": name, **given})
        with self.database.session() as session:
            user = session.scalars(select(UserRow).where(UserRow.name == owner)).one()
            return searches.submit(session, submission, user, self.settings.results, self.now)[0].id

    def change(self, name: str, change: Callable[..., object], *given: Any) -> None:
        with self.database.session() as session:
            change(searches.find_search(session, name, to_change=True), *given, self.now)

    def row(self, name: str) -> SearchRow:
        with self.database.reading() as session:
            return searches.find_search(session, name)

    def told(self, name: str) -> tuple[str, str]:
        row = self.row(name)
        return row.state, row.reason

    def running(self, name: str, **given: Any) -> str:
        """A search that was submitted and runs."""
        id = self.submit(name, **given)
        self.step()
        self.drivers.begin(id)
        self.step()
        assert self.told(name)[0] == "running"
        return id

    def verbs(self, id: str) -> list[str]:
        return [arguments[0] for key, arguments in self.drivers.started if key == id]


@pytest.fixture
def bench(service_database: Database, tmp_path: Path) -> Bench:
    return Bench(service_database, tmp_path)


def _user(bench: Bench, name: str, **fields: Any) -> None:
    with bench.database.session() as session:
        session.add(UserRow(id=new_id(), name=name, created_at=NOON, **fields))


def test_a_search_is_begun_watched_and_complete(bench: Bench) -> None:
    id = bench.submit("mine")
    bench.step()
    assert bench.told("mine") == ("starting", "")
    ((key, arguments),) = bench.drivers.started
    assert key == id
    assert arguments[:3] == ["search", f"--results={bench.settings.results}", "--address=127.0.0.1:1"]
    assert {"--name=mine", f"--data={bench.folder / 'cats'}", "--data-seed=7"} <= set(arguments)
    bench.step(times=3)
    assert bench.told("mine")[0] == "starting"
    bench.drivers.begin(id)
    bench.step()
    assert bench.told("mine")[0] == "running"
    bench.drivers.end(id, "complete")
    bench.step()
    row = bench.row("mine")
    assert (row.state, row.driver, row.exit_code, row.state_since) == ("complete", None, 0, bench.now)
    bench.step(times=3)
    assert bench.verbs(id) == ["search"]


@pytest.mark.parametrize("moment", ["queued", "starting", "running"])
def test_a_server_that_is_killed_is_followed_by_one_that_knows(bench: Bench, moment: str) -> None:
    id = bench.submit("mine")
    if moment != "queued":
        bench.step()
    if moment == "running":
        bench.drivers.begin(id)
        bench.step()
    bench.restart()
    bench.step(times=3)
    assert bench.verbs(id) == ["search"], "nothing runs twice"
    assert bench.row("mine").state == ("starting" if moment != "running" else "running")


def test_a_driver_is_found_whose_server_was_killed_as_it_started_it(bench: Bench) -> None:
    id = bench.submit("mine")
    bench.step()
    with bench.database.session() as session:
        row = session.get_one(SearchRow, id)
        row.driver = {"since": 0, "wish": 0, "cluster": "first"}
    bench.restart()
    bench.step()
    assert bench.row("mine").driver == {"since": 0, "wish": 0, "cluster": "first", "number": 1}
    assert bench.verbs(id) == ["search"]


def test_one_that_was_never_started_is_begun_again(bench: Bench) -> None:
    id = bench.submit("mine")
    bench.step()
    bench.drivers.die(id)
    with bench.database.session() as session:
        session.get_one(SearchRow, id).driver = {"since": 0}
    bench.restart()
    bench.step()
    bench.step(10)
    assert bench.verbs(id) == ["search", "search"]


def test_a_driver_that_was_killed_goes_on(bench: Bench) -> None:
    id = bench.running("mine")
    bench.drivers.die(id)
    bench.step()
    assert bench.told("mine") == ("queued", "its process has ended by signal 9: it goes on")
    bench.step()
    assert bench.verbs(id) == ["search"], "not at once"
    bench.step(10)
    assert bench.verbs(id) == ["search", "resume"]


def test_one_that_is_killed_again_and_again_without_progress_has_failed(bench: Bench) -> None:
    id = bench.running("mine")
    for _ in range(3):
        bench.drivers.die(id)
        bench.step()
        bench.step(60)
    assert bench.told("mine") == (
        "failed",
        "its process has ended by signal 9, 3 times in a row; `resume` tries again",
    )
    assert bench.verbs(id) == ["search", "resume", "resume"]
    bench.change("mine", searches.resume, GoOn())
    bench.step(times=2)
    assert bench.verbs(id)[3:] == ["resume"]


def test_progress_is_patience(bench: Bench) -> None:
    id = bench.running("mine")
    for _ in range(6):
        bench.drivers.tell(id, "trial_ended", "t0001", status="complete")
        bench.drivers.die(id)
        bench.step()
        bench.step(60)
        bench.drivers.begin(id)
        bench.step()
    assert bench.told("mine")[0] == "running"


def test_a_search_that_says_that_it_failed_has_failed(bench: Bench) -> None:
    id = bench.running("mine")
    bench.drivers.end(id, "failed", "6 trials failed alike", code=1)
    bench.step(times=3)
    assert bench.told("mine") == ("failed", "6 trials failed alike")
    assert bench.verbs(id) == ["search"]


def test_what_the_driver_refuses_is_the_reason(bench: Bench) -> None:
    id = bench.submit("mine")
    bench.step()
    bench.drivers.die(id, 2, "some output\nerror: --epochs 9=3: no such epochs\nerror: data: a second mistake\n")
    bench.step(times=3)
    assert bench.told("mine") == ("failed", "--epochs 9=3: no such epochs; data: a second mistake")
    assert bench.row("mine").exit_code == 2
    assert bench.verbs(id) == ["search"]
    bench.change("mine", searches.resume, GoOn())
    bench.step(times=2)
    assert bench.verbs(id) == ["search", "search"], "nothing has begun: it is searched anew"
    bench.drivers.die(id, -9)
    bench.step()
    assert bench.told("mine")[1] == "its process has ended by signal 9: it goes on", "the old mistake is no reason"


@pytest.mark.parametrize("knows", [True, False])
def test_the_end_of_ray_is_no_failure(bench: Bench, knows: bool) -> None:
    id = bench.running("mine")
    bench.ray.cluster = Cluster("second", "127.0.0.1:2", 4.0, 0.0)
    bench.drivers.end(id, "failed", "RaySystemError: gone", code=1, ray_is_gone=knows)
    bench.step()
    assert bench.told("mine") == ("queued", "RaySystemError: gone: it goes on")
    bench.step(10)
    assert bench.drivers.started[-1][1][:3] == [
        "resume",
        f"--results={bench.settings.results}",
        "--address=127.0.0.1:2",
    ]


def test_a_driver_that_does_not_see_that_its_ray_is_gone_is_ended(bench: Bench) -> None:
    id = bench.running("mine")
    bench.ray.cluster = Cluster("second", "127.0.0.1:2", 4.0, 0.0)
    bench.step(10, times=8)
    assert bench.drivers.signals == []
    bench.step(10, times=5)
    assert bench.drivers.signals == [(id, "TERM"), (id, "KILL")]


def test_nothing_is_begun_without_ray(bench: Bench) -> None:
    bench.ray.cluster = None
    id = bench.submit("mine")
    bench.step(times=3)
    assert bench.verbs(id) == []
    (queued,) = bench.engine.queue()
    assert (queued.name, queued.place, queued.reason) == ("mine", 1, "Ray is being started")
    assert not bench.engine.health().is_ready
    bench.ray.cluster = Cluster("first", "127.0.0.1:1", 4.0, 0.0)
    bench.step()
    assert bench.verbs(id) == ["search"]
    assert bench.engine.health().is_ready


def test_stopping_presses_the_more_the_longer_it_takes(bench: Bench) -> None:
    id = bench.running("mine")
    bench.change("mine", searches.request_stop)
    bench.step()
    store = bench.drivers.store_of(id)
    assert (bench.told("mine")[0], store.home.requests()) == ("stopping", {"stop"})
    store.home.withdraw()  # as a driver does that has just taken the lock
    bench.step()
    assert store.home.requests() == {"stop"}
    bench.step(10, times=5)
    assert bench.drivers.signals == []
    bench.step(10, times=3)
    assert bench.drivers.signals == [(id, "TERM")]
    bench.step(10, times=3)
    assert bench.drivers.signals[1] == (id, "KILL")
    bench.drivers.die(id)
    bench.step(times=3)
    assert bench.told("mine") == ("stopped", "stopped as was asked")
    assert bench.verbs(id) == ["search"]


def test_what_has_not_begun_is_stopped_at_once(bench: Bench) -> None:
    first, second = bench.submit("first"), bench.submit("second", priority=-1)
    bench.change("second", searches.request_stop)
    bench.step()
    assert bench.told("second") == ("stopped", "stopped as was asked")
    bench.change("first", searches.request_stop)
    bench.step()
    assert bench.drivers.signals == [(first, "TERM")]
    bench.drivers.die(first, -15)
    bench.step(times=2)
    assert bench.told("first")[0] == "stopped"
    assert bench.verbs(second) == []


def test_a_search_that_ends_while_it_is_stopped_is_complete(bench: Bench) -> None:
    id = bench.running("mine")
    bench.change("mine", searches.request_stop)
    bench.drivers.end(id, "complete")
    bench.step()
    assert bench.told("mine")[0] == "complete"


def test_resuming_while_it_stops_lets_it_stop_first(bench: Bench) -> None:
    id = bench.running("mine")
    bench.change("mine", searches.request_stop)
    bench.step()
    bench.change("mine", searches.resume, GoOn(hours=2))
    bench.step()
    assert bench.told("mine")[0] == "stopping"
    bench.drivers.end(id, "stopped", "stopped by `tuner stop`")
    bench.step(times=2)
    assert bench.verbs(id) == ["search", "resume"]
    assert "--hours=2.0" in bench.drivers.started[-1][1]
    bench.drivers.begin(id)
    bench.step()
    assert not bench.row("mine").has_wish


def test_an_extension_is_begun_once_and_only_once(bench: Bench) -> None:
    id = bench.running("mine")
    bench.change("mine", searches.extend, Extend(trials=20))
    bench.step(times=3)
    assert bench.verbs(id) == ["search"]
    bench.drivers.end(id, "complete")
    bench.step(times=2)
    assert bench.verbs(id) == ["search", "extend"]
    bench.drivers.die(id)  # before the log has it
    bench.step()
    bench.step(10)
    assert bench.verbs(id) == ["search", "extend", "extend"]
    bench.drivers.begin(id)
    bench.drivers.die(id)  # before the server has seen that the log has it
    bench.restart()
    bench.step()
    bench.step(30)
    assert bench.verbs(id) == ["search", "extend", "extend", "resume"], "20 trials are added once"
    bench.drivers.begin(id)
    bench.drivers.end(id, "complete")
    bench.step(times=3)
    assert bench.told("mine")[0] == "complete"


def test_an_extension_that_is_refused_is_not_tried_for_ever(bench: Bench) -> None:
    id = bench.running("mine")
    bench.drivers.end(id, "complete")
    bench.step()
    bench.change("mine", searches.extend, Extend(epochs=3))
    bench.step(times=2)
    bench.drivers.die(id, 2, "error: --epochs +3: no schedule fits\n")
    bench.step(times=5)
    assert bench.told("mine") == ("failed", "--epochs +3: no schedule fits")
    assert bench.verbs(id) == ["search", "extend"]


def test_deleting_stops_keeps_and_removes(bench: Bench) -> None:
    id = bench.running("mine")
    folder = bench.drivers.store_of(id).folder
    bench.change("mine", searches.delete)
    bench.step()
    bench.drivers.end(id, "stopped")
    bench.step(times=2)
    assert bench.told("mine")[0] == "deleted"
    bench.change("mine", searches.restore)
    bench.step()
    assert bench.told("mine")[0] == "stopped"
    bench.change("mine", searches.delete)
    bench.step(timedelta(days=6).total_seconds())
    assert folder.exists()
    bench.step(timedelta(days=7).total_seconds())
    assert not folder.exists()
    assert list(bench.settings.results.iterdir()) == []
    assert bench.submit("mine") != id


def test_searches_of_the_command_line_are_listed_and_run_on(bench: Bench) -> None:
    store = Store.create(bench.settings.results, "by-hand")
    store.search_yaml.write_text("{}")
    store.append("search_started")
    store.append("search_ended", status="stopped", reason="interrupted")
    bench.step()
    row = bench.row("by-hand")
    assert (row.state, row.reason, row.owner, row.submission) == ("stopped", "interrupted", None, {})
    bench.change("by-hand", searches.resume, GoOn())
    bench.step(times=2)
    assert [arguments[0] for _, arguments in bench.drivers.started] == ["resume"]


def test_a_search_that_somebody_runs_in_a_shell_is_left_to_that(bench: Bench) -> None:
    store = Store.create(bench.settings.results, "by-hand")
    with ExitStack() as held:
        held.enter_context(store.lock())
        bench.step()
        state, reason = bench.told("by-hand")
        assert state == "running"
        assert reason.startswith("run outside of the service, by process ")
        bench.change("by-hand", searches.request_stop)
        bench.step()
        assert store.home.requests() == {"stop"}
        bench.step(100, times=3)
        assert bench.told("by-hand")[0] == "stopping"
        assert bench.drivers.signals == []
        store.append("search_ended", status="stopped", reason="stopped by `tuner stop`")
    bench.step()
    assert bench.told("by-hand") == ("stopped", "stopped by `tuner stop`")


def test_what_a_shell_runs_is_not_begun_beside_it(bench: Bench) -> None:
    id = bench.running("mine")
    bench.drivers.end(id, "stopped")
    bench.step()
    bench.change("mine", searches.resume, GoOn())
    with bench.drivers.store_of(id).lock():
        bench.step(times=3)
        assert bench.told("mine")[0] == "queued"
        assert bench.told("mine")[1].startswith("it is being run by process ")
        assert bench.verbs(id) == ["search"]
    bench.step()
    assert bench.verbs(id) == ["search", "resume"]


def test_limits_of_users_and_of_the_server(service_database: Database, tmp_path: Path) -> None:
    bench = Bench(service_database, tmp_path, max_running=3)
    _user(bench, "bob", max_running=1)
    _user(bench, "eve", is_disabled=True)
    for name, owner in (("b1", "bob"), ("b2", "bob"), ("e1", "eve"), ("a1", "ada"), ("a2", "ada"), ("a3", "ada")):
        bench.submit(name, owner)
    bench.step()
    assert {name: bench.told(name)[0] for name in ("b1", "b2", "e1", "a1", "a2", "a3")} == {
        "b1": "starting",
        "b2": "queued",
        "e1": "queued",
        "a1": "starting",
        "a2": "starting",
        "a3": "queued",
    }
    reasons = {queued.name: queued.reason for queued in bench.engine.queue()}
    assert reasons == {
        "b2": "its user may run 1 at once",
        "e1": "its user may run nothing any more",
        "a3": "as many searches run as may at once",
    }


@pytest.mark.parametrize("mistake", [ValueError("embedded null byte"), OSError("Argument list too long")])
def test_one_that_cannot_be_begun_holds_up_no_other(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, mistake: Exception
) -> None:
    begin = bench.drivers.start

    def start(key: str, arguments: Sequence[str], output: Path) -> Handle:
        if key == broken:
            raise mistake
        return begin(key, arguments, output)

    monkeypatch.setattr(bench.drivers, "start", start)
    broken = bench.submit("broken")
    bench.running("other")
    bench.step(seconds=60, times=8)
    assert bench.told("broken")[0] == "failed"
    assert bench.told("other")[0] == "running"


def test_an_extension_that_was_refused_is_begun_once_changes_are_accepted(bench: Bench) -> None:
    id = bench.running("mine")
    bench.drivers.end(id, "complete")
    bench.step()
    bench.change("mine", searches.extend, Extend(trials=20))
    bench.step(times=2)
    bench.drivers.die(id, 2, f"error: search 'mine' {IS_NOT_WHAT_IT_WAS}; undo that:\nerror: code: a -> b\n")
    bench.step(times=3)
    row = bench.row("mine")
    assert (row.state, row.has_changed, row.has_wish) == ("stopped", True, False)
    assert row.reason.endswith(": code: a -> b")
    bench.change("mine", searches.resume, GoOn(accept_changes=True, hours=2))
    assert not bench.row("mine").has_changed
    bench.step(times=2)
    assert bench.verbs(id) == ["search", "extend", "extend"]
    assert {"--accept-changes", "--trials=+20", "--hours=2.0"} <= set(bench.drivers.started[-1][1])
    bench.drivers.begin(id)
    bench.step()
    assert bench.told("mine") == ("running", "")
    assert not bench.row("mine").has_changed


def test_what_is_no_search_hides_none(bench: Bench) -> None:
    (bench.settings.results / "a" / "events.jsonl").mkdir(parents=True)
    Store.create(bench.settings.results, "mine").append("search_started", granted={})
    renamed = bench.settings.results / "mine of May"
    shutil.copytree(bench.settings.results / "mine", renamed)
    bench.step()
    assert bench.told("mine")[0] == "stopped"
    assert len(bench.engine._ledger.rows()) == 1, "what no address leads to is not listed"


def test_gpu_hours_that_are_used_up_end_what_runs(bench: Bench) -> None:
    with bench.database.session() as session:
        session.scalars(select(UserRow)).one().gpu_hours = 0.5
    id, store = bench.running("mine"), Store(bench.settings.results / "mine")
    store.append("trial_started", "t0001")
    lines = store.events_jsonl.read_text().splitlines()
    began = datetime.fromisoformat(store.append("note", text="")["time"])
    later = (began + timedelta(hours=1)).isoformat()
    with store.events_jsonl.open("a") as log:
        log.write(f'{{"v":1,"seq":{len(lines) + 2},"time":"{later}","kind":"epoch","trial":"t0001","gpus":1.0}}\n')
    bench.step(61)
    bench.step()
    assert bench.told("mine") == ("stopping", "its user's 0.5 GPU hours are used")
    bench.drivers.end(id, "stopped")
    bench.step(times=20)
    assert bench.told("mine") == ("queued", "its user's 0.5 GPU hours are used")
    assert bench.verbs(id) == ["search"]


def test_running_searches_share_what_there_is(bench: Bench) -> None:
    ids = [bench.running(name) for name in ("first", "second", "third")]
    bench.step()

    def asked(ids: Iterable[str]) -> list[set[str]]:
        return [
            {name.rpartition("-")[2] for name in bench.drivers.store_of(id).home.requests() if name != "stop"}
            for id in ids
        ]

    assert asked(ids) == [{"2"}, {"1"}, {"1"}]
    bench.drivers.end(ids[2], "complete")
    bench.step(times=2)
    assert asked(ids[:2]) == [{"2"}, {"2"}]
    bench.drivers.end(ids[1], "complete")
    bench.step(times=2)
    assert asked(ids[:1]) == [set()], "alone it may have as many as fit"


def test_leaving_stops_all_in_order_and_the_next_server_goes_on(bench: Bench) -> None:
    running, starting = bench.running("first"), bench.submit("second")
    bench.step()
    bench.engine.leave()
    bench.step()
    assert [bench.told(name) for name in ("first", "second")] == [("stopping", LEAVING)] * 2
    assert bench.drivers.signals == [(starting, "TERM")]
    bench.drivers.end(running, "stopped", "stopped by `tuner stop`")
    bench.drivers.die(starting, -15)
    bench.submit("third")
    bench.step(times=3)
    assert [bench.told(name)[0] for name in ("first", "second", "third")] == ["queued"] * 3
    assert bench.row("first").attempts == 0
    bench.restart()
    bench.step(times=2)
    assert [bench.verbs(id)[-1] for id in (running, starting)] == ["resume", "search"]


def test_a_store_that_does_not_answer_stops_nothing_else(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = bench.running("first"), bench.running("second")
    events = Store.events

    def refuse(store: Store) -> Any:
        if store.name == "first":
            raise OSError("no answer")
        return events(store)

    monkeypatch.setattr(Store, "events", refuse)
    bench.drivers.end(second, "complete")
    bench.drivers.die(first)
    bench.step()
    assert bench.told("second")[0] == "complete"
    monkeypatch.setattr(Store, "events", events)
    bench.step()
    assert bench.told("first")[0] == "queued"


def test_data_that_are_gone_are_told(bench: Bench) -> None:
    bench.submit("mine")
    with bench.database.session() as session:
        row = session.scalars(select(SearchRow)).one()
        row.submission = {**row.submission, "data": "dogs"}
    bench.step()
    assert bench.told("mine") == ("failed", "data set 'dogs' is gone: register it again and resume")


def test_a_space_that_was_sent_is_a_file_of_the_searchs_name(bench: Bench) -> None:
    text = "version: 1\n# mine\n"
    id = bench.submit("mine", space=None, space_yaml=text)
    bench.step()
    file = Path(bench.drivers.started[0][1][-1])
    assert file == bench.settings.state / "spaces" / id / "space" / "mine.yaml"
    assert file.read_text() == text
