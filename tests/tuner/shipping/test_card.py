from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from trainable.data.splits import SplitRow
from tuner.evidence.gathering import Interval
from tuner.records import Retrained, SearchRecord
from tuner.replay import replay
from tuner.shipping.card import Checked, model_card
from tuner.shipping.chosen import ChosenModel

CHECKED = Checked({"model.onnx": 5.2e-6, "model.pt2": 0.0}, 100, {"torch": "2.9.0", "onnx": "1.20"})
THRESHOLDS = (0.25, 0.5)
CONFIG = {"backbone": "lite0", "image_size": 64, "freeze": "50%", "head": {"kind": "mlp"}, "thresholds": "fitted"}


def search() -> SearchRecord:
    """Two trials, the second the best one, scored on test."""
    scores = {"rose": {"precision": 0.5, "recall": 1.0, "f1": 0.667}}
    epoch = {"epoch": 3, "trained_parameters": 5, "total_parameters": 3500000, "best": {"per_class": scores}}
    events = [
        {
            "kind": "search_started",
            "name": "flowers",
            "space": "quick",
            "task": "multilabel",
            "objective": {"metric": "f2_macro", "direction": "maximize"},
            "labels": ["rose", "tu|lip"],
            "data": {
                "hash": "0123abcd",
                "sizes": {"train": 70, "val": 15, "test": 15},
                "warnings": ["a.png: tiny", "b"],
            },
            "versions": {"torch": "2.9.0"},
        }
    ]
    for trial, value in (("t0001", 0.6), ("t0002", 0.8)):
        val = {"loss": 0.3, "f2_macro": value}
        events += [
            {"kind": "trial_started", "trial": trial, "config": CONFIG, "freeze_blocks": 4, "total_blocks": 9},
            {
                "kind": "epoch",
                "trial": trial,
                "value": value,
                "best_value": value,
                "best_epoch": 3,
                "val": val,
                **epoch,
            },
            {"kind": "trial_ended", "trial": trial, "status": "complete"},
            {"kind": "test_scored", "trial": trial, "test": {"f2_macro": value - 0.1}, "reads": 1},
        ]
    return replay(events)


def rows() -> list[SplitRow]:
    """41 training images of roses and 3 of tulips, which test lacks."""
    found = (
        [("train", "rose")] * 41 + [("train", "tu|lip")] * 3 + [("val", "rose"), ("val", "tu|lip"), ("test", "rose")]
    )
    return [SplitRow(f"{number}.png", split, "", "", (label,)) for number, (split, label) in enumerate(found)]


def card(made: Retrained | None = None, interval: Interval | None = None, task: str = "multilabel") -> str:
    found = replace(search(), task=task, retrained=(made,) if made else ())
    assert found.best
    return model_card(ChosenModel(found, found.best, made, Path()), THRESHOLDS, rows(), interval, CHECKED)


def row_of(text: str, first: str) -> list[str]:
    (line,) = re.findall(rf"^\| {re.escape(first)} +\|.*$", text, re.MULTILINE)
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_a_card_tells_what_the_model_does_and_where_it_is_from() -> None:
    text = card()
    assert text.startswith("# flowers: t0002\n\nSays which of 2 labels an image has: none, one or several.")
    assert "uint8 `[n, 64, 64, 3]`" in text
    assert "lite0, 3,500,000 parameters; blocks frozen in training: 50% (4/9)" in text
    assert "- Trained on: train (70 images)" in text
    assert "train 70, val 15, test 15 images; hash `0123abcd`" in text
    (config,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert YAML(typ="safe").load(config) == CONFIG
    assert "100 real images, in batches of several sizes: `model.onnx` differs by at most 5.2e-06" in text
    assert "exported with torch 2.9.0, onnx 1.20" in text
    assert "licences of their own" in text


def test_scores_come_with_what_they_are_worth() -> None:
    text = card(interval=Interval(0.7, 0.85))
    assert row_of(text, "f2_macro") == ["f2_macro", "0.800 (0.700 to 0.850)", "0.700"]
    assert row_of(text, "loss") == ["loss", "0.300", ""]
    assert "is what the search selected for among 2 trials, and is optimistic by that." in text
    assert "95 % interval over validation images, optimistic" in text
    assert "The search chose nothing by test; it was read 2 times in all." in text
    assert "interval" not in card()


def test_labels_have_thresholds_images_and_scores() -> None:
    text = card()
    assert row_of(text, "rose") == ["rose", "0.250", "41", "1", "1", "0.500", "1.000", "0.667"]
    assert row_of(text, r"tu\|lip") == [r"tu\|lip", "0.500", "3", "1", "0", "", "", ""]
    multi_class = card(task="multiclass")
    assert "Says which one of 2 classes" in multi_class
    assert "| threshold" not in multi_class
    assert row_of(multi_class, "rose") == ["rose", "41", "1", "1", "0.500", "1.000", "0.667"]
    assert "every image is given one of the classes" in multi_class


def test_limits_name_what_is_not_known() -> None:
    text = card()
    assert r"- Fewer than 30 training images: tu\|lip (3)." in text
    assert r"- No image in test, so not scored there: tu\|lip." in text
    assert "inspection says: a.png: tiny; and 1 more in `search.yaml`" in text
    assert "before retraining" not in text


@pytest.mark.parametrize(
    ("splits", "test", "said"),
    [
        (("train", "val"), {"f2_macro": 0.75}, "The search chose nothing by test; it was read 3 times"),
        (("train", "val", "test"), {}, "trained on test as well, so no image is left to score it on"),
        (("train", "val"), {}, "It was not scored on test."),
    ],
)
def test_a_retrained_model_says_so(splits: tuple[str, ...], test: dict[str, float], said: str) -> None:
    made = Retrained("t0002", splits, 40, "retrained/x", test)
    text = card(made)
    assert text.startswith(f"# flowers: t0002-{'-'.join(splits)}\n")
    assert said in text
    assert "of trial t0002 before retraining: the model itself has trained on it" in text
    assert "Its thresholds are those of the model before retraining." in text
    assert "for 40 optimiser steps" in text
    assert row_of(text, "f2_macro") == ["f2_macro", "0.800", "0.750" if test else ""]
