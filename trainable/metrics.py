"""METRICS: what can be reported and optimised; scikit-learn's definitions, counted and ranked by torchmetrics.

Everything is computed on an indicator matrix `[images, labels]`: a multi-class prediction is a row with a single
positive, so one set of functions serves both tasks (micro precision, recall and F1 are then the accuracy).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple

from trainable.errors import UserError, nearest

if TYPE_CHECKING:
    import torch

Direction = Literal["maximize", "minimize"]
AVERAGES = ("macro", "micro", "weighted", "samples")


@dataclass(frozen=True)
class Metric:
    """A row of METRICS."""

    direction: Direction = "maximize"
    averaged: bool = True
    """whether its name ends in an average"""
    on: Literal["decisions", "probabilities", "loss"] = "decisions"
    meaning: str = ""
    compute: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], float] | None = None
    """of a plugin: from probabilities, decisions and targets, all `[images, labels]`"""


METRICS: dict[str, Metric] = {
    "loss": Metric("minimize", False, "loss", "cross-entropy, unweighted and unsmoothed"),
    "accuracy": Metric(averaged=False, meaning="share of images whose labels are all right (subset accuracy)"),
    "precision": Metric(meaning="share of predicted positives that are right"),
    "recall": Metric(meaning="share of positives that are found"),
    "f1": Metric(meaning="F-beta; any beta may be written, such as f0.5 or f2"),
    "average_precision": Metric(on="probabilities", meaning="area under the precision-recall curve, by steps"),
    "roc_auc": Metric(on="probabilities", meaning="area under the ROC curve"),
}
REPORTED = (
    "loss",
    "accuracy",
    *(f"{name}_{average}" for name in ("precision", "recall", "f1", "f2") for average in AVERAGES[:3]),
    *(f"{name}_{average}" for name in ("average_precision", "roc_auc") for average in AVERAGES[:2]),
)
"""What every evaluation reports, beside the objective."""

_F_BETA = re.compile(r"f(\d+(?:\.\d+)?)")


@dataclass(frozen=True)
class Objective:
    """The metric that is optimised, on validation, and its direction."""

    metric: str
    direction: Direction

    @property
    def on_decisions(self) -> bool:
        """Whether thresholds change it."""
        return METRICS[_row(self.metric)].on == "decisions"

    @property
    def beta(self) -> float:
        """The beta that fitted thresholds aim at: the objective's own, or 1."""
        found = _F_BETA.fullmatch(_base(self.metric))
        return float(found[1]) if found else 1.0

    def better(self, value: float, than: float | None) -> bool:
        """Whether a value beats another; everything beats None."""
        if than is None:
            return True
        return value > than if self.direction == "maximize" else value < than


def parse_objective(name: str) -> Objective:
    """The objective of a metric's name, such as `f2_macro`, `accuracy` or `average_precision_micro`.

    Raises:
        UserError: no such metric, or an average that it does not take.
    """
    row = METRICS.get(_row(name))
    average = name.removeprefix(_base(name)).removeprefix("_")
    beta = _F_BETA.fullmatch(_base(name))
    if row is None or (average in AVERAGES) != row.averaged or (beta and float(beta[1]) == 0):
        beta = _F_BETA.match(name)
        written = beta[0] if beta and float(beta[1]) else "f1"
        bases = {written if base == "f1" else base: metric.averaged for base, metric in METRICS.items()}
        known = [f"{base}_{a}" if averaged else base for base, averaged in bases.items() for a in AVERAGES]
        # a known metric whose average was forgotten is far from every full name
        hint = nearest(f"{name}_macro" if row and row.averaged and average not in AVERAGES else name, known)
        averages = ", ".join(f"_{average}" for average in AVERAGES)
        rule = f"loss, accuracy; precision, recall, f<beta>, average_precision, roc_auc with one of {averages}"
        raise UserError(f"objective: unknown metric {name!r}{hint} (known: {rule})")
    return Objective(name, row.direction)


def _base(name: str) -> str:
    """`f2_macro` -> `f2`."""
    head, _, average = name.rpartition("_")
    return head if average in AVERAGES else name


def _row(name: str) -> str:
    """`f2_macro` -> `f1`, the row that stands for every F-beta."""
    base = _base(name)
    return "f1" if _F_BETA.fullmatch(base) else base


class Counts(NamedTuple):
    """Of images by label, float64 `[labels]`."""

    true_positives: torch.Tensor
    false_positives: torch.Tensor
    false_negatives: torch.Tensor


@dataclass(frozen=True)
class Predictions:
    """What a classifier says of a split, as indicator matrices."""

    probabilities: torch.Tensor
    """float `[images, labels]`"""
    decisions: torch.Tensor
    """int `[images, labels]`"""
    targets: torch.Tensor
    """int `[images, labels]`"""
    loss: float

    @cached_property
    def counts(self) -> Counts:
        """Of each label's decisions."""
        from torchmetrics.functional import classification as tm

        if self.targets.shape[1] == 1:
            found = tm.binary_stat_scores(self.decisions, self.targets, validate_args=False)[None]
        else:
            labels = self.targets.shape[1]
            found = tm.multilabel_stat_scores(self.decisions, self.targets, labels, average="none", validate_args=False)
        right, wrong, _, missed, _ = found.double().T
        return Counts(right, wrong, missed)

    @cached_property
    def average_precision(self) -> torch.Tensor:
        """Of each label, float64 `[labels]`; NaN where there is no positive."""
        return self._ranked("average_precision", self.present)

    @cached_property
    def roc_auc(self) -> torch.Tensor:
        """Of each label, float64 `[labels]`; NaN where there is no positive, or nothing else."""
        return self._ranked("auroc", self.present & ~self.targets.all(0))

    def _ranked(self, metric: str, rankable: torch.Tensor) -> torch.Tensor:
        """A metric of torchmetrics' on each label alone; NaN for those that are not rankable."""
        from torchmetrics.functional import classification as tm

        values = self.probabilities.new_full((len(rankable),), float("nan")).double()
        said, true, labels = self.probabilities[:, rankable], self.targets[:, rankable], int(rankable.sum())
        if labels == 1:
            values[rankable] = getattr(tm, f"binary_{metric}")(said[:, 0], true[:, 0], validate_args=False).double()
        elif labels:
            compute = getattr(tm, f"multilabel_{metric}")
            values[rankable] = compute(said, true, labels, average="none", validate_args=False).double()
        return values

    @cached_property
    def flat(self) -> Predictions:
        """All images and labels as one long label."""
        return self._with(lambda matrix: matrix.reshape(-1, 1))

    @cached_property
    def transposed(self) -> Predictions:
        """Images as labels: a mean over its columns is a mean over images."""
        return self._with(lambda matrix: matrix.T)

    def _with(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Predictions:
        return Predictions(change(self.probabilities), change(self.decisions), change(self.targets), self.loss)

    @property
    def present(self) -> torch.Tensor:
        """Labels with a positive, bool `[labels]`; the others are left out of means over labels (rule 8)."""
        return self.targets.any(0)


def scores(predictions: Predictions, names: Iterable[str]) -> dict[str, float]:
    """The metrics of `names`, in their order. A metric that is undefined for these targets is NaN."""
    return {name: _score(predictions, name) for name in names}


def label_scores(predictions: Predictions, labels: Iterable[str]) -> dict[str, dict[str, float]]:
    """Precision, recall, F1, average precision and positives of each label that has a positive."""
    names = ("precision", "recall", "f1", "average_precision")
    columns = {name: _per_label(predictions, name) for name in names}
    counts = predictions.targets.sum(0)
    return {
        label: {**{name: float(columns[name][k]) for name in names}, "positives": int(counts[k])}
        for k, label in enumerate(labels)
        if counts[k]
    }


def _score(predictions: Predictions, name: str) -> float:
    if name == "loss":
        return predictions.loss
    if name in METRICS and (compute := METRICS[name].compute):
        return float(compute(predictions.probabilities, predictions.decisions, predictions.targets))
    if name == "accuracy":
        return float((predictions.decisions == predictions.targets).all(1).double().mean())
    base = _base(name)
    average = name.removeprefix(base + "_")
    if average == "micro":
        return _mean(_per_label(predictions.flat, base))
    if average == "samples":
        of_images = _per_label(predictions.transposed, base)
        # as scikit-learn does: an image without a label has an average precision of 0
        return _mean(of_images.nan_to_num(0.0) if base == "average_precision" else of_images)
    values = _per_label(predictions, base)[predictions.present]
    if average == "macro":
        return _mean(values)
    defined = ~values.isnan()
    support = predictions.targets.sum(0)[predictions.present][defined].double()
    return float((values[defined] * support).sum() / support.sum())


def _mean(values: torch.Tensor) -> float:
    """The mean over what is defined."""
    return float(values.nanmean())


def _per_label(predictions: Predictions, base: str) -> torch.Tensor:
    """A metric of each label alone, float64 `[labels]`; NaN where it is undefined, 0 for 0 of 0 decisions."""
    if base == "average_precision":
        return predictions.average_precision
    if base == "roc_auc":
        return predictions.roc_auc
    right, wrong, missed = predictions.counts
    if base == "precision":
        return right / (right + wrong).clamp(min=1)
    if base == "recall":
        return right / (right + missed).clamp(min=1)
    weight = float(base.removeprefix("f")) ** 2
    whole = (1 + weight) * right + wrong + weight * missed
    return (1 + weight) * right / whole.where(whole > 0, 1)
