"""The best trial's most confident mistakes: what it is surest of and wrong about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from tuner.report.plots.predictions import Predicted

MOST_MISTAKES = 12
"""of a kind"""
MOST_NAMED = 4
"""true labels of an image"""

Kind = Literal["said", "missed", "confused"]


@dataclass(frozen=True)
class Mistake:
    """One image that the model is wrong about."""

    image: str
    truth: tuple[str, ...]
    more_truth: int
    """true labels beyond those named"""
    label: str
    """multi-class: the class that it said; else the label that it is wrong about"""
    probability: float
    """of that label"""


@dataclass(frozen=True)
class Mistakes:
    """Those of one kind, the surest first; an image is in each kind once."""

    kind: Kind
    """said: a label that the image has not; missed: one that it has; confused: another class"""
    wrong: int
    """images with such a mistake"""
    worst: tuple[Mistake, ...]


def mistakes_of(predicted: Predicted, task: str) -> list[Mistakes]:
    """Multi-class: one kind; else two, labels said in vain and labels missed."""
    wrong = predicted.decisions & ~predicted.targets
    if task == "multiclass":
        return [_surest(predicted, "confused", wrong)]
    missed = predicted.targets & ~predicted.decisions
    return [_surest(predicted, "said", wrong), _surest(predicted, "missed", missed)]


def _surest(predicted: Predicted, kind: Kind, wrong: np.ndarray) -> Mistakes:
    """By the probability of what is false, an image's surest mistake of `wrong` [images, labels] alone."""
    sureness = 1 - predicted.probabilities if kind == "missed" else predicted.probabilities
    sureness = np.where(wrong, sureness, -1.0)
    surest = sureness.argmax(axis=1)
    order = np.argsort(-sureness.max(axis=1, initial=-1.0), kind="stable")
    found = int(wrong.any(axis=1).sum())
    worst = [_mistake(predicted, int(row), int(surest[row])) for row in order[: min(found, MOST_MISTAKES)]]
    return Mistakes(kind, found, tuple(worst))


def _mistake(predicted: Predicted, row: int, label: int) -> Mistake:
    truth = [name for name, is_true in zip(predicted.labels, predicted.targets[row], strict=True) if is_true]
    return Mistake(
        image=predicted.ids[row],
        truth=tuple(truth[:MOST_NAMED]),
        more_truth=max(len(truth) - MOST_NAMED, 0),
        label=predicted.labels[label],
        probability=float(predicted.probabilities[row, label]),
    )
