"""What a search has found, over HTTP as on the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from service_rows import NOON
from small_searches import RunTuner
from small_service import SmallService

from tuner.service.database.rows import SearchRow
from tuner.service.ids import new_id


@pytest.fixture
def found(service: SmallService, searched_folder: Path) -> str:
    """A search that has been run; its name."""
    shutil.copytree(searched_folder, service.results / "searched")
    with service.services.database.session() as session:
        row = SearchRow(id=new_id(), name="searched", submission={}, submitted_at=NOON, desired="run", desired_at=NOON)
        row.state, row.state_since = "complete", NOON
        session.add(row)
    return "/v1/searches/searched"


@pytest.mark.parametrize(
    ("format", "type"), [("md", "text/markdown"), ("csv", "text/csv"), ("json", "application/json")]
)
def test_the_leaderboard_is_that_of_the_command_line(
    service: SmallService, found: str, run_tuner: RunTuner, format: str, type: str
) -> None:
    answer = service.client.get(f"{found}/leaderboard", params={"format": format, "top": 2})
    options = ["--results", service.results, "--format", format, "--top", 2]
    assert answer.text == run_tuner("leaderboard", "searched", *options).out
    assert answer.headers["content-type"].startswith(type)


def test_trials_come_in_parts(service: SmallService, found: str) -> None:
    first = service.client.get(f"{found}/trials", params={"limit": 3}).json()
    rest = service.client.get(f"{found}/trials", params={"cursor": first["next_cursor"]}).json()
    trials = first["items"] + rest["items"]
    assert [trial["trial"] for trial in trials] == ["t0001", "t0002", "t0003", "t0004"]
    assert rest["next_cursor"] is None
    assert sorted(trial["rank"] for trial in trials if trial["rank"]) == list(range(1, 5))
    assert trials[0]["baseline"] is True


def test_a_trial_is_told_as_on_the_command_line(service: SmallService, found: str, run_tuner: RunTuner) -> None:
    answer = service.client.get(f"{found}/trials/t0002")
    printed = run_tuner("show", "searched", "t0002", "--results", service.results, "--json").out
    assert list(answer.json().items()) == list(json.loads(printed).items())
    curve = service.client.get(f"{found}/trials/t0002/curve").json()
    assert [point["epoch"] for point in curve["points"]] == [point["epoch"] for point in answer.json()["curve"]]
    assert service.client.get(f"{found}/trials/t0009").json()["status"] == 404
    assert service.client.get(f"{found}/trials/t0009/curve").json()["status"] == 404


@pytest.mark.parametrize("file", ["best.yaml", "conclusions.md", "report.html"])
def test_files_are_those_on_disk(service: SmallService, found: str, file: str) -> None:
    path = service.results / "searched" / file
    if not path.exists():
        path.write_text("<p>told</p>\n")
    assert service.client.get(f"{found}/{file}").content == path.read_bytes()
    path.unlink()
    assert service.client.get(f"{found}/{file}").json()["detail"].startswith(f"search 'searched' has no {file} yet")


def test_the_report_can_do_no_harm(service: SmallService, found: str) -> None:
    (service.results / "searched" / "report.html").write_text("<script>fetch('/v1/me')</script>")
    headers = service.client.get(f"{found}/report.html").headers
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("sandbox allow-scripts ")
    assert "allow-same-origin" not in policy
    assert "default-src 'none'" in policy
    assert "connect-src" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_there_is_nothing_of_what_has_not_begun(service: SmallService) -> None:
    service.submit("first")
    for part in ("trials", "trials/t0001", "leaderboard", "best.yaml", "report.html"):
        answer = service.client.get(f"/v1/searches/first/{part}")
        assert (answer.status_code, "has not begun" in answer.json()["detail"]) == (404, True)
