"""A space's axes and a trial's status in Optuna's terms."""

from __future__ import annotations

from collections.abc import Mapping

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from search_spaces.axes import Axis, Choice, FloatRange, Value, same
from search_spaces.space import Space

Label = str | int | float | bool | None
"""a value as Optuna stores it"""

_STATES = {
    **dict.fromkeys(("waiting", "running"), TrialState.RUNNING),
    **dict.fromkeys(("complete", "early_stopped"), TrialState.COMPLETE),
    **dict.fromkeys(("pruned", "paused"), TrialState.PRUNED),
}


def state_of(status: str) -> TrialState:
    """Optuna's state for a trial's status: failed, lost and unknown ones are FAIL, which no sampler learns from."""
    return _STATES.get(status, TrialState.FAIL)


class Domain:
    """The axes of one space, and which values lie on them today."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self.distributions: Mapping[str, BaseDistribution] = {
            path: _distribution(space.axes[path]) for path in space.order
        }

    def value(self, path: str, label: Label) -> Value:
        """What a config holds for a value that Optuna suggested."""
        axis = self._space.axes[path]
        if not isinstance(axis, Choice):
            return label
        return next(option for option, known in zip(axis.options, _labels(axis), strict=True) if same(known, label))

    def labels(self, params: Mapping[str, Value]) -> dict[str, Label]:
        """The given values that lie on an active axis, as Optuna stores them."""
        axes = self._space.axes
        chosen = self._space.active_params({path: value for path, value in params.items() if path in axes})
        return {path: _label(axes[path], value) for path, value in chosen.items() if axes[path].holds(value)}

    def covers(self, params: Mapping[str, Value]) -> bool:
        """Whether the params are some that could be drawn today: a value on every active axis and no other."""
        labels = self.labels(params)
        if labels.keys() != params.keys():
            return False
        return all(path in labels for path in self._space.order if self._space.active(path, params))


def _distribution(axis: Axis) -> BaseDistribution:
    if isinstance(axis, Choice):
        return CategoricalDistribution(_labels(axis))
    if isinstance(axis, FloatRange):
        return FloatDistribution(axis.low, axis.high, log=axis.log)
    return IntDistribution(axis.low, axis.last, log=axis.log, step=axis.step)  # Optuna warns of a high between steps


def _label(axis: Axis, value: Value) -> Label:
    if isinstance(axis, Choice):
        return next(label for option, label in zip(axis.options, _labels(axis), strict=True) if same(option, value))
    return float(value) if isinstance(axis, FloatRange) else int(value)


def _labels(axis: Choice) -> tuple[Label, ...]:
    """The options as they are, if Optuna can store them and tell them apart; otherwise all written out.

    It stores text, numbers, truth values and null, and takes True for 1.
    """
    options = axis.options
    if all(isinstance(option, Label) for option in options) and len(set(options)) == len(options):
        return options
    return tuple(repr(option) for option in options)
