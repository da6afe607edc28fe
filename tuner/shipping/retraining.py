"""`tuner retrain`: a chosen config on train and val together, and on test as well if asked to."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from search_spaces.document import read_yaml
from trainable.config import TrialConfig, parse_config
from trainable.data.splits import SPLITS
from trainable.errors import UserError
from trainable.metrics import parse_objective
from trainable.precision import stored_precision
from trainable.weights import Weights, require_weights
from tuner.children import ancestors
from tuner.evidence.gathering import gather
from tuner.journal import refresh_journal
from tuner.records import Retrained, SearchRecord, TrialRecord
from tuner.report.best import write_outputs
from tuner.shipping.chosen import choose_trial, retrained_name
from tuner.shipping.new_folder import new_folder
from tuner.shipping.stored_data import open_stored
from tuner.store import Store
from tuner.tolerant import integer, mapping

if TYPE_CHECKING:
    from trainable.data.dataset import ImageDataset
    from trainable.job import TrialFiles
    from trainable.retrain import RetrainJob, RetrainReport

FOLDER = "retrained"
_COMMAND = "tuner retrain"


def retrain_model(
    store: Store,
    trial: str | None = None,
    *,
    all_data: bool = False,
    listen: Callable[[RetrainReport], None] | None = None,
) -> Retrained:
    """Train a trial's config (None: the best one's) in this process, on train and val, and score it once on test.

    It takes as many optimiser steps as led to the trial's best epoch, and the trial's thresholds. The model is in
    retrained/<trial>-train-val/ of the search's folder, whole or not at all, and an event in its log.

    Args:
        all_data: train on test too; then there is no score

    Raises:
        UserError: the search is running, it has no such trial or data, the model is there already, or data or weights
            are not those of the search.
        DivergedError: the loss became NaN or infinite.
    """
    with store.lock(_COMMAND):
        search = store.record()
        chosen = choose_trial(search, trial)
        splits = _splits(search, all_data)
        folder = f"{FOLDER}/{retrained_name(chosen.id, splits)}"
        remedy = "`--retrained` of predict and export uses it; move it away to train it again"
        with new_folder(store.fetch(store.folder / folder), remedy) as unfinished:
            steps, test = _train(store, search, chosen, splits, unfinished, listen)
        made = Retrained(chosen.id, splits, steps, folder, test)
        store.append("retrained", made.trial, splits=splits, steps=steps, folder=folder, test=test)
        _count_the_read(store)
        refresh_journal(store)
    return made


def _count_the_read(store: Store) -> None:
    """Bring the tables up to date; conclusions and top/ are as the search left them."""
    search = store.record()
    top_k = integer(mapping(read_yaml(store.search_yaml).data.get("search")).get("top_k"))
    write_outputs(store, search, top_k or 0, gather(store, search), store.conclusions())


def _splits(search: SearchRecord, all_data: bool) -> tuple[str, ...]:
    """What to train on."""
    found = tuple(name for name in SPLITS if name in search.data["sizes"])
    if all_data and "test" not in found:
        raise UserError(f"search {search.name!r} has no test split: train and val are all its data; drop --all-data")
    return found if all_data else tuple(name for name in found if name != "test")


def _train(
    store: Store,
    search: SearchRecord,
    trial: TrialRecord,
    splits: tuple[str, ...],
    folder: Path,
    listen: Callable[[RetrainReport], None] | None,
) -> tuple[int, dict[str, float]]:
    """Fill the folder: optimiser steps taken, and metrics on test if that was not trained on."""
    import torch

    from trainable.devices import trial_device
    from trainable.job import TrialFiles
    from trainable.predict import load_model, score_test
    from trainable.retrain import retrain

    torch.set_num_threads(search.threads)
    config = parse_config(dict(trial.config))
    files = TrialFiles(folder / "checkpoints", folder / "predictions.npz")
    data = open_stored(store, search, config.image_size)
    job = _job(search, trial, splits, data, files)
    report = None
    for report in retrain(job, data, trial_device()):
        if listen:
            listen(report)
    assert report is not None  # a best epoch has steps that led to it
    if "test" in splits or "test" not in data.split:
        return report.steps, {}
    model = load_model(files.best, trial_device(), job.weights, job.precision)
    test = score_test(model, data, parse_objective(search.metric), files.test_predictions)
    return report.steps, test.metrics


def _job(
    search: SearchRecord,
    trial: TrialRecord,
    splits: tuple[str, ...],
    data: ImageDataset,
    files: TrialFiles,
) -> RetrainJob:
    from trainable.data.batches import steps_per_epoch
    from trainable.retrain import RetrainJob

    best_epoch = trial.best_epoch
    if best_epoch is None:
        raise UserError(f"trial {trial.id} has no result to train up to ({trial.status}); choose another with --trial")
    thresholds = tuple(trial.best_details["thresholds"])
    images, weights = len(data.split["train"]), _same_weights(trial, parse_config(trial.config))

    def job_of(one: TrialRecord, epochs: float, parent: RetrainJob | None) -> RetrainJob:
        config = parse_config(one.config)
        lr_of_epoch = {math.ceil(report.epoch): report.lr for report in one.epochs if report.lr is not None}
        return RetrainJob(
            config=config,
            splits=splits,
            epochs=epochs,
            steps_per_epoch=steps_per_epoch(images, config.batch_size),
            thresholds=thresholds,
            checkpoint=files.best,
            weights=weights,
            precision=stored_precision(search.precision),
            learning_rates=tuple(lr for epoch, lr in sorted(lr_of_epoch.items()) if epoch <= math.ceil(epochs)),
            parent=parent,
        )

    before = None
    for one in ancestors(search, trial):
        before = job_of(one, one.epochs_run, before)
    return job_of(trial, best_epoch, before)


def _same_weights(trial: TrialRecord, config: TrialConfig) -> Weights | None:
    if not config.pretrained:
        return None
    weights = require_weights([config.backbone])[config.backbone]
    expected = trial.facts.get("weights_sha256")
    if expected and weights.sha256 != expected:
        raise UserError(f"{weights.path}: not the weights that trial {trial.id} was trained from; put the same back")
    return weights
