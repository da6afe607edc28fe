"""Train the one config of a YAML file again: `tuner train best.yaml`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from trainable.backbones import count_blocks
from trainable.compute import PLAIN, Compute
from trainable.config import TrialConfig, parse_config
from trainable.data.splits import write_splits
from trainable.errors import UserError
from trainable.freezing import blocks_to_freeze
from trainable.job import Ancestor
from trainable.metrics import Objective, parse_objective
from trainable.precision import PRECISIONS, Precision
from trainable.weights import Weights
from tuner.config import DataConfig, Resources, parse_options
from tuner.plugins import require_plugins
from tuner.preparation import PreparedData, examine, prepare
from tuner.report.best import read_best
from tuner.tolerant import mapping

if TYPE_CHECKING:
    from trainable.job import EpochReport

TOLERANCE = 1e-6
"""A trial is verified when its objective differs from the file's by no more."""
DEFAULT_OBJECTIVE = "f1_macro"


@dataclass(frozen=True)
class SavedTrial:
    """A config to train, and what its file says came out of it before."""

    config: TrialConfig
    data: DataConfig
    objective: Objective
    threads: int
    precision: Precision = "fp32"
    compute: Compute = PLAIN
    expected: float | None = None
    epochs_run: float | None = None
    data_hash: str | None = None
    weights_sha256: str | None = None
    lineage: tuple[Ancestor, ...] = ()
    """trials that it went on from, which are trained again before it"""


@dataclass(frozen=True)
class Outcome:
    """What came out of training it again."""

    value: float
    """the objective at its best epoch"""
    best_epoch: float
    difference: float | None
    """from what the file says; None where it says nothing"""

    @property
    def verified(self) -> bool:
        """Whether the file's result was reached again."""
        return self.difference is not None and self.difference <= TOLERANCE


def read_saved(file: Path, data: Path | None, objective: str | None = None, split: str | None = None) -> SavedTrial:
    """What a best.yaml (or a bare config) asks for; `data` overrides where the images are.

    Raises:
        UserError: a file that is not one, a config that is not valid, or no word on where the data are.
    """
    record = read_best(file)
    require_plugins(mapping(mapping(record.get("provenance")).get("plugins")), str(file))
    try:
        config = parse_config(record["config"])
    except UserError as error:
        raise UserError(*(f"{file}: {mistake}" for mistake in error.mistakes)) from None
    result, provenance = record.get("result", {}), record.get("provenance", {})
    facts = provenance.get("data", {})
    options = dict(facts.get("options") or {})
    if data is None and "path" not in options:
        raise UserError(f"{file}: does not say where its data are; give --data")
    options |= {"task": provenance.get("task", "auto"), "path": data or options["path"]}
    options |= {"split": split} if split else {}
    epochs_run = result.get("epochs_run")
    if epochs_run is not None and epochs_run > config.epochs:
        raise UserError(f"{file}: result.epochs_run {epochs_run} is more than config.epochs {config.epochs}")
    try:
        data_config = parse_options(DataConfig, **options)
        threads = parse_options(Resources, threads_per_trial=provenance.get("threads", 1)).threads_per_trial
    except UserError as error:
        raise UserError(*(f"{file}: provenance: {mistake}" for mistake in error.mistakes)) from None
    metric = objective or result.get("objective", {}).get("metric") or DEFAULT_OBJECTIVE
    return SavedTrial(
        config=config,
        data=data_config,
        objective=parse_objective(metric),
        threads=threads,
        **_arithmetic(file, provenance),
        expected=result.get("objective", {}).get("value"),
        epochs_run=epochs_run,
        data_hash=facts.get("hash"),
        weights_sha256=provenance.get("weights_sha256"),
        lineage=tuple(_lineage(file, provenance)),
    )


def _lineage(file: Path, provenance: Mapping[str, Any]) -> Iterator[Ancestor]:
    """What a child trial began with."""
    for number, told in enumerate(provenance.get("lineage") or ()):
        try:
            config, epochs = parse_config(mapping(mapping(told).get("config"))), mapping(told).get("epochs_run")
        except UserError as error:
            place = f"{file}: provenance.lineage.{number}"
            raise UserError(*(f"{place}: {mistake}" for mistake in error.mistakes)) from None
        if not isinstance(epochs, int | float) or not 0 < epochs <= config.epochs:
            raise UserError(
                f"{file}: provenance.lineage.{number}.epochs_run is {epochs!r} but must be from 1 to {config.epochs}"
            )
        yield Ancestor(config, epochs)


def _arithmetic(file: Path, provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Precision and way to compute, which the result depends on; a bare config's are the default ones."""
    precision, compute = provenance.get("precision", "fp32"), provenance.get("compute", {})
    if precision not in PRECISIONS:
        raise UserError(f"{file}: provenance.precision is {precision!r} but must be one of {', '.join(PRECISIONS)}")
    try:
        return {"precision": precision, "compute": Compute.model_validate(compute)}
    except ValidationError as error:
        raise UserError(
            *(
                f"{file}: provenance.{'.'.join(map(str, ('compute', *finding['loc'])))}: {finding['msg']}"
                for finding in error.errors()
            )
        ) from None


def train_again(
    saved: SavedTrial, out: Path, weights: Weights | None, listen: Callable[[EpochReport], None]
) -> Outcome:
    """Train it in a new folder `out` (checkpoints, predictions, splits.csv); the objective and how it compares.

    Raises:
        UserError: `out` holds something, or data or weights are not those of the file.
    """
    import torch

    from trainable.data.dataset import open_dataset
    from trainable.devices import trial_device
    from trainable.job import TrialFiles, TrialJob
    from trainable.train import train_trial

    for stage in saved.config.plan:
        blocks_to_freeze(stage.freeze or 0, count_blocks(saved.config.backbone), saved.config.backbone)
    data = _same_data(saved)
    if weights and saved.weights_sha256 and weights.sha256 != saved.weights_sha256:
        raise UserError(f"{weights.path}: not the weights that the file's result was trained from; put the same back")
    if mistakes := saved.config.mistakes_for(data.task):
        raise UserError(*mistakes)
    try:
        out.mkdir(parents=True, exist_ok=False)
    except FileExistsError:
        raise UserError(f"--out {out}: exists, and nothing is overwritten; give another folder") from None
    write_splits(out / "splits.csv", data.rows)
    torch.set_num_threads(saved.threads)
    images = open_dataset(
        out / "splits.csv", data.root, data.labels, data.task, saved.config.image_size, saved.data.data_seed
    )
    files = TrialFiles(out / "checkpoints", out / "predictions.npz")
    job = TrialJob(
        saved.config,
        saved.objective,
        files,
        weights,
        last_epoch=saved.epochs_run,
        precision=saved.precision,
        compute=saved.compute,
        lineage=saved.lineage,
    )
    report = None
    for report in train_trial(job, images, trial_device()):
        listen(report)
    assert report is not None  # a config has at least one epoch
    difference = None if saved.expected is None else abs(report.best_value - saved.expected)
    return Outcome(report.best_value, report.best_epoch, difference)


def _same_data(saved: SavedTrial) -> PreparedData:
    data = prepare(examine(saved.data, (saved.config.image_size,)))
    if saved.data_hash and data.hash != saved.data_hash:
        raise UserError(
            f"{saved.data.path}: not the data that the file's result was trained on (hash {data.hash[:12]}, "
            f"not {saved.data_hash[:12]}): images, labels or split differ; restore them, or train the config alone"
        )
    return data
