"""Which model of a search is meant: a trial's, or one that was retrained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trainable.errors import UserError, nearest
from tuner.plugins import require_plugins
from tuner.records import Retrained, SearchRecord, TrialRecord
from tuner.store import Store


@dataclass(frozen=True)
class ChosenModel:
    """A trained model of a search, and where it is."""

    search: SearchRecord
    trial: TrialRecord
    """whose config it has"""
    retrained: Retrained | None
    """None: it is the trial's own, of its best epoch"""
    checkpoint: Path

    @property
    def name(self) -> str:
        """Of its folders: `t0003`, or `t0003-train-val` of a retrained one."""
        return retrained_name(self.trial.id, self.retrained.splits) if self.retrained else self.trial.id

    @property
    def splits(self) -> tuple[str, ...]:
        """What it was trained on."""
        return self.retrained.splits if self.retrained else ("train",)


def choose_trial(search: SearchRecord, id: str | None) -> TrialRecord:
    """The trial of this id; None: the best one.

    Raises:
        UserError: no trial has finished, there is no such trial, or the search's plugins are not loaded here.
    """
    require_plugins(search.plugins, f"search {search.name!r}")
    if id is None:
        if search.best is None:
            raise UserError(f"search {search.name!r}: no trial has finished yet")
        return search.best
    found = next((trial for trial in search.trials if trial.id == id), None)
    if found is None:
        hint = nearest(id, (trial.id for trial in search.trials))
        raise UserError(f"search {search.name!r} has no trial {id!r}{hint}; `tuner leaderboard` lists them")
    return found


def choose_model(store: Store, trial: str | None = None, *, retrained: bool = False) -> ChosenModel:
    """A trial's model (None: the best one's), or the latest that was retrained (of that trial).

    Raises:
        UserError: as `choose_trial`, or the search has not kept the model, or nothing was retrained.
    """
    search = store.record()
    if not retrained:
        found = choose_trial(search, trial)
        return ChosenModel(search, found, None, _kept_checkpoint(store, found.id))
    latest = next((model for model in reversed(search.retrained) if trial in (None, model.trial)), None)
    if latest is None:
        of_trial = f" of trial {trial}" if trial else ""
        raise UserError(f"search {search.name!r} has no retrained model{of_trial}; `tuner retrain` makes one")
    found = choose_trial(search, latest.trial)
    return ChosenModel(search, found, latest, store.fetch(store.folder / latest.folder / "checkpoints" / "best.pt"))


def _kept_checkpoint(store: Store, trial: str) -> Path:
    checkpoint = store.fetch(store.best_checkpoint(trial))
    if not checkpoint.exists():
        raise UserError(
            f"search {store.name!r} has no model of trial {trial}: it keeps those of its best trials and the baseline "
            f"(`--top` of them); `tuner retrain {store.name} --trial {trial}` trains it again, then give --retrained"
        )
    return checkpoint


def retrained_name(trial: str, splits: Sequence[str]) -> str:
    """`t0003-train-val`: a model's trial and what it was trained on."""
    return "-".join((trial, *splits))
