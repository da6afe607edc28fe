"""What a command line becomes where a server searches: the same search, or one line that says why not."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from small_searches import MakeSpace, RunTuner

from tuner.cli import elsewhere
from tuner.service.submissions.submission import Submission, reading_of, search_arguments


@pytest.fixture
def submitted(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What is submitted, to a server that takes anything."""
    taken: list[dict[str, Any]] = []

    def submit(submission: Mapping[str, Any]) -> SimpleNamespace:
        taken.append(dict(submission))
        return SimpleNamespace(name=submission["name"], state="queued")

    @contextlib.contextmanager
    def connected(_: str | None) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(submit=submit, url="http://x")

    monkeypatch.setattr(elsewhere, "connected", connected)
    return taken


OPTIONS = [
    "--name=birds",
    "--trials=4",
    "--hours=1.5",
    "--gpu-hours=2.0",
    "--disk-gib=8.0",
    "--task=multiclass",
    "--split=80/20",
    "--drop-rare-labels=3",
    "--skip-unreadable",
    "--backbone=lite0=lite1",
    "--backbone=lite2=lite1",
    "--epochs=3",
    "--set=batch_size=8",
    "--objective=f1_macro",
    "--seed=7",
    "--top=2",
    "--repeats=3",
    "--train-fractions=0.25,0.5",
    "--reference=by hand: accuracy=0.9",
    "--hypothesis=it works",
    "--notes=-n",
    "--audit=1",
    "--tracking=off",
    "--offline",
    "--workers=2",
    "--cpus-per-trial=0.5",
    "--gpus-per-trial=0.25",
    "--threads-per-trial=2",
    "--precision=bf16",
    "--warm-start=earlier",
]


def test_a_server_searches_as_it_was_asked_to(submitted: list[dict[str, Any]], run_tuner: RunTuner) -> None:
    ran = run_tuner("submit", "quick", "--data", "birds-2026", *OPTIONS, "--remote")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("search birds is queued at http://x")
    submission = Submission.model_validate(submitted[0])
    reading = reading_of(submission, {"label_column": "species"})
    there = search_arguments(submission, "birds", "quick", Path("/data/birds"), reading)
    assert set(there) >= {*OPTIONS, "--data=/data/birds", "--label-column=species", "quick"}


def test_what_is_not_given_is_left_to_the_server(submitted: list[dict[str, Any]], run_tuner: RunTuner) -> None:
    run_tuner("submit", "quick", "--data", "birds", "--name", "b", "--remote")
    assert submitted == [{"name": "b", "space": "quick", "data": "birds"}]


def test_a_space_of_ones_own_goes_there_as_a_text(
    submitted: list[dict[str, Any]], run_tuner: RunTuner, make_space: MakeSpace
) -> None:
    space = make_space("mine.yaml")
    run_tuner("submit", space, "--data", "birds", "--server", "http://x")
    assert submitted[0]["space_yaml"] == space.read_text()
    assert "space" not in submitted[0]
    assert submitted[0]["name"].startswith("mine-2")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--data", "photos/birds"], "a server searches data sets that it knows by a name; `tuner upload"),
        (["--data", "birds", "--results", "r"], "--results: a server keeps its searches itself; leave it out"),
        (["--data", "birds", "--notify", "slack://x"], "--notify: a server keeps no passwords"),
        (["--data", "birds", "--compute", "auto"], "--compute: a server has no such choice; leave it out"),
        (["--data", "birds", "--cluster", "c.yaml"], "--cluster and --remote: a command runs in one place"),
    ],
)
def test_what_makes_no_sense_there_is_one_line(
    given: list[str], told: str, submitted: list[dict[str, Any]], run_tuner: RunTuner
) -> None:
    ran = run_tuner("submit", "quick", *given, "--remote")
    assert (ran.code, submitted) == (2, [])
    assert told in ran.err
    assert len(ran.err.splitlines()) == 1


def test_mistakes_of_a_space_are_found_before_it_is_sent(
    submitted: list[dict[str, Any]], run_tuner: RunTuner, tmp_path: Path
) -> None:
    (tmp_path / "space.yaml").write_text("version: 1\n")
    ran = run_tuner("submit", tmp_path / "space.yaml", "--data", "birds", "--remote")
    assert (ran.code, submitted) == (2, [])
    assert "space.yaml" in ran.err
