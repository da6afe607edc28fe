from __future__ import annotations

import pytest

from trainable.errors import UserError
from tuner.result import Result
from tuner.shipping.chosen import choose_model


def test_the_best_trial_unless_another_is_named(fitted: Result) -> None:
    best = fitted.record.best
    assert best
    chosen = choose_model(fitted.store)
    assert (chosen.name, chosen.trial, chosen.splits) == (best.id, best, ("train",))
    assert chosen.checkpoint.is_file()
    other = next(trial.id for trial in fitted.record.trials if trial != best)
    assert choose_model(fitted.store, other).name == other


def test_the_latest_retrained_one(fitted: Result) -> None:
    with pytest.raises(UserError, match=r"search 'fitted' has no retrained model; `tuner retrain` makes one"):
        choose_model(fitted.store, retrained=True)
    for trial, splits in (
        ("t0001", ["train", "val"]),
        ("t0002", ["train", "val"]),
        ("t0001", ["train", "val", "test"]),
    ):
        folder = "retrained/" + "-".join((trial, *splits))
        fitted.store.append("retrained", trial, splits=splits, steps=6, folder=folder, test={})
    latest = choose_model(fitted.store, retrained=True)
    assert (latest.name, latest.trial.id) == ("t0001-train-val-test", "t0001")
    assert latest.checkpoint == fitted.store.folder / "retrained/t0001-train-val-test/checkpoints/best.pt"
    assert choose_model(fitted.store, "t0002", retrained=True).splits == ("train", "val")
    with pytest.raises(UserError, match=r"has no retrained model of trial t0042"):
        choose_model(fitted.store, "t0042", retrained=True)


def test_an_unknown_trial_is_a_mistake(fitted: Result) -> None:
    with pytest.raises(UserError, match=r"has no trial 't0003'; did you mean 't000\d'\?; `tuner leaderboard` lists"):
        choose_model(fitted.store, "t0003")


def test_the_search_s_plugins_are_needed(fitted: Result) -> None:
    log = fitted.store.events_jsonl
    log.write_text(log.read_text().replace('"plugins":{}', '"plugins":{"mine.py":"0123456789abcdef"}', 1))
    with pytest.raises(UserError, match=r"search 'fitted' needs plugin mine\.py \(sha256 0123456789ab\): give it with"):
        choose_model(fitted.store)
