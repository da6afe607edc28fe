"""The best configs again, with other seeds, splits, folds or shares of the training images: can the values be trusted?

A repeat leaves out the run that the config was chosen by: a chosen run's luck is in its value, a new seed's is not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trainable.config import TrialConfig, parse_config
from trainable.data.splits import SplitRow, fold_splits, resplit, shares_of_train, write_splits
from tuner.children import Forebear, lineage_of
from tuner.config import Reruns
from tuner.records import Rerun, SearchRecord, TrialRecord

OWN_SPLITS = "splits.csv"
_SEEDS = 2**32


@dataclass(frozen=True)
class PlannedRerun:
    """A trial that trains another one's config again."""

    id: str
    config: TrialConfig
    rerun: Rerun
    splits: str = OWN_SPLITS
    """file in the search's folder"""
    lineage: tuple[Forebear, ...] = ()
    """what it goes on from, which is trained again as well"""


def plan_reruns(search: SearchRecord, wanted: Reruns, top_k: int, data_seed: int) -> list[PlannedRerun]:
    """What is to be trained once the trials have ended, or trained on: the best and the baseline, the best on less."""
    best = [trial for trial in search.ranked() if trial.eligible][:top_k]
    baseline = search.baseline
    also = [baseline] if baseline and baseline.eligible and baseline not in best else []
    planned = [
        *_repeats([*best, *also], wanted, data_seed),
        *_folds([*best, *also], wanted, data_seed),
        *(_fractions(best[0], wanted, data_seed) if best else ()),
    ]
    known = {trial.id for trial in search.reruns if not trial.unfinished}
    return [_with_lineage(search, again) for again in planned if again.id not in known]


def _with_lineage(search: SearchRecord, again: PlannedRerun) -> PlannedRerun:
    """A rerun of a trial that went on from another one trains that again, too, on its own split and by its own seed."""
    original = next(trial for trial in search.trials if trial.id == again.rerun.of)
    lineage = lineage_of(search, original)
    seeded = [replace(one, config=one.config.model_copy(update={"seed": again.rerun.seed})) for one in lineage]
    return replace(again, lineage=tuple(replace(one, trial=None) for one in seeded))


def prove_reruns(wanted: Reruns, rows: Sequence[SplitRow], labels: Sequence[str], data_seed: int) -> None:
    """Find out before anything trains whether the images can be split as the reruns need it.

    Raises:
        UserError: too few groups of images for so many folds or so small a share.
    """
    if wanted.folds:
        fold_splits(rows, labels, wanted.folds, data_seed)
    shares_of_train(rows, labels, wanted.train_fractions, data_seed)


def write_rerun_splits(
    folder: Path, planned: Sequence[PlannedRerun], rows: Sequence[SplitRow], labels: Sequence[str], wanted: Reruns
) -> None:
    """Write the split of every planned rerun that has one of its own."""
    made: dict[str, Sequence[SplitRow]] = {}
    for again in planned:
        seed = again.rerun.data_seed
        if again.splits in (*made, OWN_SPLITS):
            continue
        if again.rerun.kind == "repeat":
            made[again.splits] = resplit(rows, labels, seed)
        elif again.rerun.kind == "fold":
            folds = fold_splits(rows, labels, wanted.folds or 0, seed)
            made |= {_of_fold(number, len(folds)): fold for number, fold in enumerate(folds)}
        else:
            shares = shares_of_train(rows, labels, wanted.train_fractions, seed)
            made |= {_of_share(share): kept for share, kept in shares.items()}
    for name in {again.splits for again in planned} & made.keys():
        (folder / name).parent.mkdir(exist_ok=True)
        write_splits(folder / name, made[name])


def _repeats(trials: Sequence[TrialRecord], wanted: Reruns, data_seed: int) -> Iterator[PlannedRerun]:
    for number in range(1, (wanted.repeats or 0) + 1):
        split_seed = (data_seed + number) % _SEEDS if wanted.resplit else data_seed
        splits = _of_seed(split_seed) if wanted.resplit else OWN_SPLITS
        for trial in trials:
            config = parse_config(trial.config)
            config = config.model_copy(update={"seed": (config.seed + number) % _SEEDS})
            rerun = Rerun(of=trial.id, kind="repeat", seed=config.seed, data_seed=split_seed)
            yield PlannedRerun(f"{trial.id}-r{number}", config, rerun, splits)


def _folds(trials: Sequence[TrialRecord], wanted: Reruns, data_seed: int) -> Iterator[PlannedRerun]:
    for fold in range(wanted.folds or 0):
        for trial in trials:
            config = parse_config(trial.config)
            rerun = Rerun(of=trial.id, kind="fold", seed=config.seed, data_seed=data_seed, fold=fold)
            yield PlannedRerun(f"{trial.id}-f{fold + 1}", config, rerun, _of_fold(fold, wanted.folds or 0))


def _fractions(trial: TrialRecord, wanted: Reruns, data_seed: int) -> Iterator[PlannedRerun]:
    """All the images are what the trial itself was trained on."""
    config = parse_config(trial.config)
    for share in sorted(set(wanted.train_fractions) - {1.0}):
        rerun = Rerun(of=trial.id, kind="fraction", seed=config.seed, data_seed=data_seed, train_share=share)
        yield PlannedRerun(f"{trial.id}-d{100 * share:g}", config, rerun, _of_share(share))


def _of_seed(data_seed: int) -> str:
    return f"splits/seed-{data_seed}.csv"


def _of_fold(fold: int, folds: int) -> str:
    return f"splits/fold-{fold + 1}-of-{folds}.csv"


def _of_share(share: float) -> str:
    return f"splits/train-{100 * share:g}-percent.csv"
