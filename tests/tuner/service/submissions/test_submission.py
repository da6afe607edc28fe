"""A submission is a command: what it says is what the search is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from small_searches import RunTuner

from tuner import extension, run
from tuner.config import DataReading, Grant, SearchConfig
from tuner.service.submissions.submission import (
    Extend,
    GoOn,
    Submission,
    going_on_arguments,
    read_wish,
    reading_of,
    search_arguments,
)
from tuner.store import Store

FULL: dict[str, Any] = {
    "space": "quick",
    "data": "cats",
    "reading": {"split": "60/20/20", "skip_unreadable": True},
    "objective": "f2_micro",
    "budget": {"trials": 9, "hours": 2.5, "gpu_hours": 1, "disk_gib": 3},
    "overrides": {"backbone": ["resnet18=lite0"], "set": ["batch_size=4", "seed=1"]},
    "seed": 5,
    "top_k": 2,
    "repeats": 3,
    "folds": 4,
    "train_fractions": [0.25, 1],
    "references": ["best ML model: accuracy=0.96"],
    "hypothesis": "--notes=it is better",
    "notes": "$(rm -rf /); two\nlines",
    "audit": 1,
    "tracking": "off",
    "offline": True,
    "resources": {"workers": 2, "cpus_per_trial": 0.5, "gpus_per_trial": 0, "threads_per_trial": 2},
    "precision": "bf16",
    "warm_start": "earlier",
}


class _SearchedError(Exception):
    """The command has come as far as it is to."""


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What commands would run."""
    found: list[Any] = []

    def begin(config: SearchConfig, *_: object, address: str | None) -> Store:
        found.append((config, address))
        raise _SearchedError

    def go_on(store: Store, *_: object, **given: Any) -> Store:
        found.append((store.name, given))
        raise _SearchedError

    monkeypatch.setattr(run, "run_search", begin)
    monkeypatch.setattr(run, "resume_search", go_on)
    return found


def _run(run_tuner: RunTuner, *arguments: str) -> None:
    with pytest.raises(_SearchedError):
        run_tuner(*arguments)


def test_the_command_searches_what_was_submitted(
    told: list[Any],
    run_tuner: RunTuner,
    tmp_path: Path,
) -> None:
    submission = Submission.model_validate(FULL)
    reading = reading_of(submission, {"data_seed": 7, "split": "70/30"})
    arguments = search_arguments(submission, "mine", "quick", tmp_path, reading)
    _run(run_tuner, *arguments[:1], f"--results={tmp_path}", "--address=127.0.0.1:1", *arguments[1:])
    ((config, address),) = told
    assert address == "127.0.0.1:1"
    assert config == SearchConfig.model_validate(
        {
            "name": "mine",
            "space": "quick",
            "data": {"path": tmp_path, "data_seed": 7, "split": "60/20/20", "skip_unreadable": True},
            "overrides": {**FULL["overrides"], "objective": "f2_micro"},
            **FULL["budget"],
            **{name: FULL[name] for name in ("seed", "top_k", "references", "hypothesis", "notes", "audit")},
            **{name: FULL[name] for name in ("tracking", "offline", "resources", "precision", "warm_start")},
            "reruns": {"repeats": 3, "folds": 4, "train_fractions": [0.25, 1]},
            "results": tmp_path,
        }
    )


def test_the_shortest_submission_leaves_everything_to_the_space(
    told: list[Any],
    run_tuner: RunTuner,
    tmp_path: Path,
) -> None:
    submission = Submission(space="quick", data="cats")
    _run(run_tuner, *search_arguments(submission, "mine", "quick", tmp_path, DataReading()))
    ((config, _),) = told
    given = SearchConfig(name="mine", space="quick", data={"path": tmp_path}, tracking="auto")  # type: ignore[arg-type]
    assert config == given


def test_going_on_and_extending(told: list[Any], run_tuner: RunTuner, tmp_path: Path) -> None:
    Store.create(tmp_path, "mine")
    results = f"--results={tmp_path}"
    wish: GoOn | Extend
    for wish, space in (
        (GoOn(hours=2, accept_changes=True), None),
        (Extend(trials=5, gpu_hours=1), None),
        (Extend(space="wide"), "wide.yaml"),
        (Extend(epochs=3, top=2), None),
    ):
        again = read_wish(wish.model_dump(mode="json", exclude_none=True))
        assert again == wish
        arguments = going_on_arguments(again, "mine", space)
        _run(run_tuner, arguments[0], results, *arguments[1:])
    limits = [given["limits"] for _, given in told]
    assert limits == [Grant(hours=2), Grant(gpu_hours=1), Grant(), Grant()]
    assert [given["accept_changes"] for _, given in told] == [True, False, False, False]
    assert [given["extension"] for _, given in told] == [
        None,
        extension.Extension(5, None, None, None),
        extension.Extension(None, "wide.yaml", None, None),
        extension.Extension(None, None, 3, 2),
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"space": "quick", "space_yaml": "version: 1"},
        {"space": None},
        {"data": "../cats"},
        {"data": "/etc"},
        {"name": "--results=/tmp"},
        {"name": "a/b"},
        {"name": "a\n"},
        {"name": ".hidden"},
        {"warm_start": "/results/other"},
        {"tracking": "nothing"},
        {"plugin": ["x.py"]},
        {"reading": {"path": "/etc"}},
        {"budget": {"trials": 0}},
        {"budget": {"hours": float("inf")}},
        {"space_yaml": "x" * 100_000, "space": None},
        {"overrides": {"backbone": ["x" * 1000]}},
    ],
)
def test_what_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Submission.model_validate({"space": "quick", "data": "cats", **wrong})


@pytest.mark.parametrize("wrong", [{}, {"trials": 1, "epochs": 1}, {"top": 2, "trials": 1}, {"trials": 0}])
def test_extensions_that_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Extend.model_validate(wrong)
