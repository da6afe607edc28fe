"""A trial that goes on from where others ended."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_trials import equal_states, job_of, model_of, numbers, reports_of, small_config

from trainable.job import Ancestor, EpochReport, TrialJob

DROPPING = {"kind": "mlp", "width": 8, "dropout": 0.5}


def told(reports: list[EpochReport]) -> list[tuple[Any, ...]]:
    return [(report.value, report.train_loss, report.val, report.lr) for report in reports]


def child_of(parent: TrialJob, folder: Path, state: Path | None, **fields: Any) -> TrialJob:
    ancestor = Ancestor(parent.config, parent.config.epochs, state)
    return replace(job_of(small_config(**fields), folder), lineage=(*parent.lineage, ancestor))


@pytest.mark.parametrize(
    "fields",
    [{}, {"freeze": "all"}, {"augment": "light", "head": DROPPING}, {"mix": {"kind": "mixup"}}],
    ids=["shared", "head_only", "views_and_dropout", "mixed"],
)
def test_where_nothing_is_scheduled_it_is_as_if_the_trial_had_gone_on(fields: dict[str, Any], tmp_path: Path) -> None:
    whole = reports_of(job_of(small_config(epochs=4, **fields), tmp_path / "whole"))
    parent = job_of(small_config(epochs=2, **fields), tmp_path / "parent")
    reports_of(parent)
    child = child_of(parent, tmp_path / "child", parent.files.last, epochs=2, **fields)
    assert told(reports_of(child)) == told(whole[2:])
    grandparent = job_of(small_config(epochs=1, **fields), tmp_path / "grandparent")
    reports_of(grandparent)
    middle = child_of(grandparent, tmp_path / "middle", grandparent.files.last, epochs=1, **fields)
    reports_of(middle)
    last = child_of(middle, tmp_path / "last", middle.files.last, epochs=2, **fields)
    assert told(reports_of(last)) == told(whole[2:])


def test_it_has_a_schedule_of_its_own(tmp_path: Path) -> None:
    fields = {"schedule": {"kind": "cosine"}}
    parent = job_of(small_config(epochs=3, **fields), tmp_path / "parent")
    ended = reports_of(parent)[-1]
    reports = reports_of(child_of(parent, tmp_path / "child", parent.files.last, epochs=2, **fields))
    assert reports[0].lr == parent.config.optimizer.lr > ended.lr
    assert (reports[-1].epoch, reports[-1].status) == (2, "complete")


def test_where_the_state_is_gone_its_parents_are_trained_again(tmp_path: Path) -> None:
    first = job_of(small_config(epochs=2), tmp_path / "first")
    reports_of(first)
    second = child_of(first, tmp_path / "second", first.files.last, epochs=1)
    reports_of(second)
    kept = child_of(second, tmp_path / "kept", second.files.last, epochs=2)
    gone = replace(
        job_of(kept.config, tmp_path / "gone"),
        lineage=tuple(replace(one, state=tmp_path / "nowhere.pt") for one in kept.lineage),
    )
    expected = numbers(reports_of(kept))
    assert numbers(reports_of(gone)) == expected
    assert equal_states(model_of(kept.files.best), model_of(gone.files.best))
    assert sorted(path.name for path in gone.files.checkpoints.iterdir()) == ["best.pt", "last.pt"]


def test_one_that_was_stopped_goes_on_without_its_parent(tmp_path: Path) -> None:
    parent = job_of(small_config(epochs=1), tmp_path / "parent")
    reports_of(parent)
    whole = reports_of(child_of(parent, tmp_path / "whole", parent.files.last, epochs=3))
    left = child_of(parent, tmp_path / "left", parent.files.last, epochs=3)
    reports_of(left, stop_after=1)
    parent.files.last.unlink()
    assert numbers(reports_of(left, resume=True)) == numbers(whole)
