"""Drivers as Ray jobs, against what Ray's REST API answers."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import httpx
import pytest

from tuner.service.engine.drivers.ray_job import RayJobs


class FakeDashboard:
    """The jobs of a cluster."""

    def __init__(self) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}
        self.is_gone = False
        self.tokens: set[str | None] = set()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.is_gone:
            raise httpx.ConnectError("refused")
        self.tokens.add(request.headers.get("Authorization"))
        *_, job, last = f"/{request.url.path.removeprefix('/api/jobs/')}".split("/")
        if request.method == "POST" and last == "stop":
            self.jobs[job] |= {"status": "STOPPED", "driver_exit_code": -15}
            return httpx.Response(200, json={"stopped": True})
        if request.method == "POST":
            given = json.loads(request.content)
            self.jobs[given["submission_id"]] = given | {"status": "PENDING"}
            return httpx.Response(200, json={"submission_id": given["submission_id"]})
        if not last:
            return httpx.Response(200, json=list(self.jobs.values()))
        if last not in self.jobs:
            return httpx.Response(404, text=f"Job {last} does not exist")
        return httpx.Response(200, json=self.jobs[last])


@pytest.fixture
def dashboard() -> FakeDashboard:
    return FakeDashboard()


@pytest.fixture
def drivers(dashboard: FakeDashboard, monkeypatch: pytest.MonkeyPatch) -> RayJobs:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "secret")
    return RayJobs("http://127.0.0.1:8265/", ["tuner"], httpx.MockTransport(dashboard))


def test_a_driver_is_a_job_that_prints_into_a_file(drivers: RayJobs, dashboard: FakeDashboard, tmp_path: Path) -> None:
    output = tmp_path / "of mine" / "s1.log"
    handle = drivers.start("s1", ["search", "--notes=a; rm -rf /", "--", "quick"], output)
    (job,) = dashboard.jobs.values()
    *_, command = job["entrypoint"].partition("&& exec ")
    assert shlex.split(command) == ["tuner", "search", "--notes=a; rm -rf /", "--", "quick", ">>", str(output), "2>&1"]
    assert job["submission_id"] == handle["job"]
    assert drivers.lives(handle)
    assert drivers.find("s1") == handle
    assert drivers.find("s2") is None
    assert dashboard.tokens == {"Bearer secret"}


def test_how_it_ends_is_known(drivers: RayJobs, dashboard: FakeDashboard, tmp_path: Path) -> None:
    handle = drivers.start("s1", ["resume"], tmp_path / "s1.log")
    again = RayJobs("http://127.0.0.1:8265", transport=httpx.MockTransport(dashboard))
    again.terminate(handle)
    assert not drivers.lives(handle)
    assert drivers.exit_code(handle) == -15
    assert drivers.find("s1") is None
    drivers.kill(handle)


def test_a_job_of_a_cluster_that_has_begun_anew_is_gone(drivers: RayJobs, dashboard: FakeDashboard) -> None:
    assert not drivers.lives({"kind": "ray", "job": "of-the-last-one"})
    assert drivers.exit_code({"job": "of-the-last-one"}) is None
    assert not drivers.lives({})
    assert dashboard.jobs == {}


def test_a_dashboard_that_does_not_answer_says_nothing_of_a_driver(
    drivers: RayJobs, dashboard: FakeDashboard, tmp_path: Path
) -> None:
    handle = drivers.start("s1", ["resume"], tmp_path / "s1.log")
    dashboard.is_gone = True
    with pytest.raises(OSError, match=r"dashboard at http://127\.0\.0\.1:8265"):
        drivers.lives(handle)
    dashboard.is_gone = False
    assert drivers.lives(handle)
