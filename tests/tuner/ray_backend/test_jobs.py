"""Commands on a cluster's head, with a client that plays Ray's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from trainable.errors import UserError
from tuner.ray_backend import jobs as rooms
from tuner.ray_backend.jobs import Jobs, Shipped, print_logs

CLUSTER = "cluster.yaml"
PREAMBLE = "2026-11-23 02:00:00 INFO -- Runtime env is setting up.\nRunning entrypoint for job thaw: "


class Client:
    """Of a head on which every command prints `said` and ends with `code`."""

    def __init__(self) -> None:
        self.said = "hello\nworld\n"
        self.code: int | None = 0
        self.message = ""
        self.submitted: list[dict[str, Any]] = []
        self.shipped: list[str] = []
        self.stopped: list[str] = []
        self.listed: list[Any] = []
        self.error: Exception | None = None
        self.tries_before_agent = 0

    def submit_job(self, **given: Any) -> None:
        if self.error:
            raise self.error
        if self.tries_before_agent:
            self.tries_before_agent -= 1
            raise RuntimeError("Request failed with status code 500: No available agent to submit job")
        self.submitted.append(given)
        if folder := given["runtime_env"].get("working_dir"):
            self.shipped += [path.name for path in Path(folder).iterdir()]

    async def tail_job_logs(self, job: str) -> AsyncIterator[str]:
        text = self.get_job_logs(job)
        for start in range(0, len(text), 7):
            yield text[start : start + 7]

    def get_job_logs(self, job: str) -> str:
        entrypoints = {given["submission_id"]: given["entrypoint"] for given in self.submitted}
        entrypoints |= {job.submission_id: job.entrypoint for job in self.listed}
        return f"{PREAMBLE}{entrypoints[job]}\n{self.said}"

    def get_job_info(self, job: str) -> Any:  # noqa: ARG002
        status = "FAILED" if self.code else "SUCCEEDED"
        return SimpleNamespace(driver_exit_code=self.code, status=status, message=self.message)

    def stop_job(self, job: str) -> None:
        self.stopped.append(job)

    def list_jobs(self) -> list[Any]:
        return self.listed


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture
def jobs(client: Client) -> Jobs:
    return Jobs(client, CLUSTER)


def run(jobs: Jobs, *arguments: Any) -> tuple[int, str]:
    told: list[str] = []
    return jobs.run(arguments, told.append), "".join(told)


def test_a_head_that_has_just_started_is_waited_for(
    client: Client, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "AGENT_REST_SECONDS", 0.0)
    client.tries_before_agent = 2
    assert run(jobs, "ls") == (0, "hello\nworld\n")
    client.tries_before_agent = 1
    monkeypatch.setattr(rooms, "AGENT_SECONDS", -1.0)
    with pytest.raises(UserError, match="No available agent"):
        run(jobs, "ls")


def test_what_the_head_prints_is_passed_on_without_ray_s_own_lines(client: Client, jobs: Jobs) -> None:
    client.code = 2
    assert run(jobs, "ls") == (2, "hello\nworld\n")


def test_arguments_come_as_they_are(client: Client, jobs: Jobs) -> None:
    run(jobs, "search", "a b", "--notes=it's; rm -rf $HOME")
    (given,) = client.submitted
    assert given["entrypoint"] == ("""files="$PWD"; cd; exec tuner search 'a b' '--notes=it'"'"'s; rm -rf $HOME'""")
    assert given["runtime_env"] == {}
    assert given["submission_id"].startswith("tuner-search-")


def test_files_go_along(client: Client, jobs: Jobs, tmp_path: Path) -> None:
    (tmp_path / "my space.yaml").write_text("version: 1\n")
    (tmp_path / "secret").touch()
    jobs.start(["search", Shipped(tmp_path / "my space.yaml")], "thaw-birds", "birds")
    (given,) = client.submitted
    assert given["entrypoint"].endswith("""exec tuner search "$files"/'my space.yaml'""")
    assert client.shipped == ["my space.yaml"]
    assert given["metadata"] == {"search": "birds"}


def test_two_runs_of_one_search_are_two_jobs(jobs: Jobs) -> None:
    assert jobs.start(["search"], "thaw-birds").id != jobs.start(["resume"], "thaw-birds").id


def test_a_command_that_is_interrupted_is_stopped(client: Client, jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(job: str) -> Any:  # noqa: ARG001
        raise KeyboardInterrupt

    monkeypatch.setattr(client, "tail_job_logs", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(jobs, "logs", "birds", "--follow")
    assert client.stopped == [client.submitted[0]["submission_id"]]


@pytest.mark.parametrize(
    ("code", "message", "told"),
    [
        (127, "", "--cluster cluster.yaml: its head has no `tuner` command"),
        (None, "trace\nThe actor died", r"could not run that \(The actor died\)"),
    ],
)
def test_a_head_that_cannot_run_it(code: int | None, message: str, told: str, client: Client, jobs: Jobs) -> None:
    client.code, client.message = code, message
    client.get_job_info = lambda job: SimpleNamespace(driver_exit_code=code, status="FAILED", message=message)  # type: ignore[method-assign]  # noqa: ARG005
    with pytest.raises(UserError, match=told):
        run(jobs, "ls")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            RuntimeError("Request failed with status code 404: 404: Not Found."),
            r"no Ray jobs; .*`ray\[default\]`",
        ),
        (ConnectionError("Failed to connect to Ray at address: http://x."), "no dashboard answers there"),
        (RuntimeError("Request failed with status code 500: disk\n full"), "status code 500: disk full"),
    ],
)
def test_what_a_dashboard_says_is_one_line(error: Exception, told: str, client: Client, jobs: Jobs) -> None:
    client.error = error
    with pytest.raises(UserError, match=rf"--cluster cluster.yaml: .*{told}") as caught:
        run(jobs, "ls")
    assert len(caught.value.mistakes) == 1


def listed(id: str, started: int, status: str, search: str = "birds") -> Any:
    metadata = {"search": search} if search else None
    return SimpleNamespace(
        submission_id=id, entrypoint="tuner search", start_time=started, status=status, metadata=metadata
    )


@pytest.fixture
def logs(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> Any:
    """logs("--follow"): what `tuner logs birds --cluster` prints, and its exit code."""

    @contextmanager
    def jobs_of(cluster: str) -> Iterator[Jobs]:  # noqa: ARG001
        yield jobs

    monkeypatch.setattr(rooms, "jobs_of", jobs_of)

    def printed(*options: str) -> tuple[int, str]:
        told: list[str] = []
        return print_logs(CLUSTER, "birds", ["logs", "birds", *options], told.append), "".join(told)

    return printed


@pytest.mark.parametrize("options", [(), ("--follow",)])
def test_logs_of_a_search_that_runs_are_its_own_process_s(options: tuple[str, ...], client: Client, logs: Any) -> None:
    client.listed = [listed("a", 1, "FAILED"), listed("b", 2, "RUNNING"), listed("c", 3, "RUNNING", "cats")]
    client.listed.append(listed("d", 4, "RUNNING", ""))
    assert logs(*options) == (0, "hello\nworld\n")
    assert not client.submitted


def test_logs_of_one_that_has_ended_are_asked_for(client: Client, logs: Any) -> None:
    client.listed = [listed("a", 1, "SUCCEEDED")]
    assert logs() == (0, "hello\nworld\n")
    assert client.submitted[0]["entrypoint"].endswith("tuner logs birds")


def test_what_was_wrong_with_a_search_that_never_was_is_told(client: Client, logs: Any) -> None:
    client.listed, client.code, client.said = [listed("a", 1, "FAILED")], 2, "error: no such data\n"
    assert logs() == (2, "error: no such data\n" * 2)
