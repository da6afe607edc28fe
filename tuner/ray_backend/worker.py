"""A Ray actor that trains one trial after another: takes a dict, reports a dict."""

from __future__ import annotations

import gc
import json
import socket
import time
import traceback
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from ray import tune
from ray.tune import PlacementGroupFactory

from trainable.compute import PLAIN, ComputeChoice
from trainable.config import TrialConfig, parse_config
from trainable.data.dataset import ImageDataset, open_dataset
from trainable.devices import gpu_memory_gib, trial_device
from trainable.disk import is_disk_full, told_of_disk
from trainable.errors import DivergedError
from trainable.job import Ancestor, EpochReport, TrialFiles, TrialJob
from trainable.memory import is_out_of_memory, smaller_micro_batch, trains_batch_norm
from trainable.metrics import parse_objective
from trainable.plugins import Plugin, load_plugin
from trainable.precision import Precision
from trainable.prefix.planner import Sharing
from trainable.task import Task
from trainable.train import train_trial
from trainable.weights import Weights
from tuner.children import Forebear
from tuner.ray_backend.needs import Needs, shortcomings
from tuner.ray_backend.resource_request import request
from tuner.ray_backend.resources import tensors_share
from tuner.storage.home import Home
from tuner.storage.homes import home_at
from tuner.storage.objects import StorageError
from tuner.storage.trial_copies import TrialCopies

Work = Literal["train", "test", "reference", "latency"]
"""a trial's epochs, its scores on test, the scores of a reference, or how fast a trial's backbone is"""


@dataclass(frozen=True)
class Assignment:
    """What all trials of a search share; plain values, so that any node can read it."""

    folder: str
    """the search's folder, or its URL"""
    root: str
    """the folder that image ids are relative to"""
    labels: list[str]
    task: Task
    data_seed: int
    objective: str
    weights: dict[str, str]
    """backbone -> file of pretrained weights"""
    threads: int
    patience_from_epoch: float
    splits: str = "splits.csv"
    """in the search's folder"""
    plugins: dict[str, str] = field(default_factory=dict)
    """file name -> source"""
    rungs: list[float] = field(default_factory=list)
    """epochs at which the scheduler decides"""
    trials: int = 1
    """of the search"""
    depths: dict[str, list[int]] = field(default_factory=dict)
    """backbone -> numbers of frozen blocks that its trials may have"""
    precision: Precision = "fp32"
    compute: ComputeChoice = "plain"
    needs: dict[str, Any] | None = None
    """what a node must have, which may have joined since the nodes were asked; None: the driver's own machine"""

    def enter(self) -> None:
        """Make this process one that trials of the search can run in."""
        import torch

        torch.set_num_threads(self.threads)
        for name, source in self.plugins.items():
            load_plugin(Plugin(name, source))

    @property
    def home(self) -> Home:
        """The search's, with this node's folder for what workers write."""
        return home_at(self.folder, of_workers=True)

    def dataset(self, image_size: int) -> ImageDataset:
        home = self.home
        splits = home.folder / self.splits
        home.pull(splits)
        return open_dataset(splits, Path(self.root), self.labels, self.task, image_size, self.data_seed)

    def job(self, trial: str, config: TrialConfig, lineage: Iterable[Forebear] = ()) -> TrialJob:
        found = self.weights.get(config.backbone) if config.pretrained else None
        return TrialJob(
            config=config,
            objective=parse_objective(self.objective),
            files=self._files(trial),
            weights=Weights(config.backbone, Path(found)) if found else None,
            sharing=self._sharing(config.backbone),
            patience_from_epoch=self.patience_from_epoch,
            rungs=tuple(self.rungs),
            precision=self.precision,
            compute=None if self.compute == "auto" else PLAIN,
            lineage=tuple(
                Ancestor(one.config, one.epochs, self._files(one.trial).last if one.trial else None) for one in lineage
            ),
        )

    def _files(self, trial: str) -> TrialFiles:
        folder = self.home.folder
        return TrialFiles(folder / "checkpoints" / trial, folder / "predictions" / f"{trial}.npz")

    def _sharing(self, backbone: str) -> Sharing:
        """As if all depths of all backbones were equally likely."""
        prefixes = sum(map(len, self.depths.values()))
        return Sharing(max(1, self.trials / max(1, prefixes)), tuple(self.depths.get(backbone, ())))


class TrialActor(tune.Trainable):  # type: ignore[misc]  # Ray is untyped
    """One epoch a step. The actor outlives its trials; nothing of a trial outlives `cleanup`."""

    _reports: Generator[EpochReport, None, None] | None = None
    _files: TrialCopies | None = None
    _data: ImageDataset | None = None
    _data_of: tuple[Assignment, int] | None = None
    _epoch: float = 0
    """of the trial's last report"""
    _short_at: float = 0
    """the epoch after which memory ran out"""
    _libraries_set_aside: bool = False
    _is_fit: bool = False
    """whether this node was found to have what the search needs"""

    def setup(self, config: dict[str, Any]) -> None:
        assignment = Assignment(**config["assignment"])
        assignment.enter()
        _keep_to(config["resources"]["gpu"])
        self._more_gpu_gib = config["more_gpu_gib"]
        self._epoch = self._short_at = 0
        self._assignment = assignment
        self._trial, self._work = config["trial"], config["work"]
        self._trial_config = TrialConfig.model_validate(config["config"])
        self._lineage = [
            Forebear(parse_config(one["config"]), one["epochs"], one["trial"]) for one in config["lineage"]
        ]
        self._reports = None

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> PlacementGroupFactory:
        """What Ray is to keep for the trial.

        An actor is used again for trials that ask for the same: never for one that avoids its node.
        """
        return request(**config["resources"])

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Be a fresh actor for the next trial."""
        self.cleanup()
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Train an epoch, or do the other work at once: what came of it is JSON under one of six names.

        `report`: an EpochReport, or `scores`. `ended`: a status and the reason why there is no more.
        `short_of_memory`: the trial goes on with the next step, from its last checkpoint, or with this `micro_batch`
        from its beginning.
        `crowded_out`: the GPU's memory in GiB; the trial had a share of it or a small one, and may have more.
        `hold`: why the search cannot go on for now; the trial can then, from its last checkpoint.
        `unfit_node`: this node lacks something that any trial of the search needs; nothing was done.
        """
        if not self._is_fit and (unfit := self._unfit_node()):
            return {"unfit_node": json.dumps(unfit), "done": True}
        self._is_fit = True
        try:
            report = self._train() if self._work == "train" else self._score()
        except Exception as error:  # whatever a trial does ends that trial, not the search
            short, hold, ending = is_out_of_memory(error), _why_hold(error), _ending(error)
        else:
            return {"report": json.dumps(report), "done": report["status"] != "running"}
        if short and (gib := gpu_memory_gib(trial_device())) and gib < self._more_gpu_gib:
            return {"crowded_out": gib, "done": True}
        # only here is the error gone, whose frames hold the trial's tensors
        if short and self._work == "train" and (less := self._need_less()) is not None:
            return {"short_of_memory": json.dumps(less), "done": False}
        if hold:
            return {"hold": json.dumps(hold), "done": True}
        return {"ended": json.dumps(ending), "done": True}

    def _unfit_node(self) -> dict[str, str] | None:
        """The node, and what it lacks; None: nothing."""
        wanting = shortcomings(Needs(**self._assignment.needs)) if self._assignment.needs else []
        return {"node": self._node(), "reason": "; ".join(wanting)} if wanting else None

    @staticmethod
    def _node() -> str:
        import ray

        return str(ray.get_runtime_context().get_node_id())

    def _need_less(self) -> dict[str, Any] | None:
        """Free the memory and be ready to try again, first as before; None: there is nothing smaller to try.

        What changes the config begins anew, so that the stored config gives the stored result.
        """
        self.cleanup()
        if self._epoch > self._short_at:
            self._short_at = self._epoch
            return {"micro_batch": None}
        images = len(self._data.split["train"]) if self._data else 0
        smaller = smaller_micro_batch(self._trial_config, images)
        if smaller is None:
            return None
        self._trial_config = self._trial_config.model_copy(update={"micro_batch": smaller})
        self._epoch = self._short_at = 0
        job = self._assignment.job(self._trial, self._trial_config)
        self._assignment.home.remove(job.files.last)
        return {"micro_batch": smaller, "trains_batch_norm": trains_batch_norm(self._trial_config)}

    def _train(self) -> dict[str, Any]:
        if self._reports is None:
            job = self._assignment.job(self._trial, self._trial_config, self._lineage)
            self._files = TrialCopies(self._assignment.home, job.files)
            self._files.fetch()
            if not job.files.last.exists():
                self._fetch_nearest(job.lineage)
            # an earlier process of this trial has died: what it reported is known, and is ignored when it is repeated
            self._reports = train_trial(job, self._dataset(), trial_device(), resume=job.files.last.exists())
        report = next(self._reports)
        self._epoch = report.epoch
        assert self._files is not None
        warning = self._files.bring_home()
        return asdict(report) | ({"warning": warning} if warning else {})

    def _fetch_nearest(self, lineage: Sequence[Ancestor]) -> None:
        """Have here where the trial begins: the state of the latest ancestor that has kept its own."""
        for ancestor in reversed(lineage):
            if ancestor.state is not None:
                self._assignment.home.pull(ancestor.state)
                if ancestor.state.exists():
                    return

    def _score(self) -> dict[str, Any]:
        job = self._assignment.job(self._trial, self._trial_config)
        self._files = TrialCopies(self._assignment.home, job.files)
        self._files.fetch()
        scores = SCORING[self._work](job, self._trial, self._dataset())
        self._files.bring_home()
        return {"status": "complete", "scores": scores}

    def _dataset(self) -> ImageDataset:
        """The data of this trial, which the one before it is likely to have opened."""
        wanted = (self._assignment, self._trial_config.image_size)
        if self._data is None or self._data_of != wanted:
            self._data, self._data_of = self._assignment.dataset(self._trial_config.image_size), wanted
        return self._data

    def cleanup(self) -> None:
        """Free the trial's model and its GPU memory."""
        import torch

        reports, self._reports = self._reports, None
        has_trained = reports is not None
        if reports is not None:  # which writes what is not yet written
            with suppress(OSError):  # what cannot be saved goes on from where it was saved before
                reports.close()
        del reports
        gc.collect()
        if self._files:
            self._files.leave()
            self._files = None
        if has_trained and not self._libraries_set_aside:
            # half a million objects, all imported by now, which every later collection would look through for 0.35 s
            gc.freeze()
            self._libraries_set_aside = True
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()


def _keep_to(gpu_share: float) -> None:
    """Have a trial that takes too much of a shared GPU run out of memory itself, and not those beside it."""
    import torch

    if gpu_share and torch.cuda.is_available():
        torch.cuda.set_per_process_memory_fraction(tensors_share(gpu_share, gpu_memory_gib(trial_device()) or 0))


def _why_hold(error: Exception) -> str | None:
    """Why no trial could go on after this exception, in a line; None: others can."""
    if is_disk_full(error):
        return f"the disk is full on {socket.gethostname()} ({told_of_disk(error)}): free some"
    return str(error) if isinstance(error, StorageError) else None


def _ending(error: Exception) -> dict[str, str]:
    """The status that an exception gives a trial, and its reason in a line."""
    import torch

    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    if isinstance(error, DivergedError):
        return {"status": "pruned", "error": reason}
    if is_out_of_memory(error):
        of_what = "GPU memory" if isinstance(error, torch.OutOfMemoryError) else "memory"
        return {"status": "failed", "error": f"out of {of_what} with the fewest images at a time: {reason}"}
    trace = "".join(traceback.format_exception(error))
    return {"status": "failed", "error": f"{type(error).__name__}: {reason}", "traceback": trace}


def score_on_test(job: TrialJob, trial: str, data: ImageDataset) -> dict[str, float]:  # noqa: ARG001
    """The test metrics of a trial's best epoch."""
    from trainable.predict import load_model, score_test

    model = load_model(job.files.best, trial_device(), job.weights, job.precision)
    return score_test(model, data, job.objective, job.files.test_predictions, job.sharing).metrics


def score_reference(job: TrialJob, name: str, data: ImageDataset) -> dict[str, Any]:
    """What `reference_scored` tells of one of COMPUTED_REFERENCES, its predictions written as a trial's are."""
    from trainable import references

    began = time.perf_counter()
    if name == "majority":
        model = references.prevalence(data)
    else:
        model = references.logistic_regression(
            job.config, data, job.weights, job.objective, trial_device(), job.sharing, job.precision
        )
    files = {"val": job.files.predictions, "test": job.files.test_predictions}
    found = references.score_reference(model, job.config, data, job.objective, files)
    seconds = time.perf_counter() - began
    return {"description": model.description, "seconds": seconds, **found}


def measure_latency(job: TrialJob, name: str, data: ImageDataset) -> dict[str, Any]:  # noqa: ARG001
    """What `model_measured` tells of the config's backbone at its image size."""
    from trainable.measure import MeasuredBackbone

    config = job.config
    device, labels = trial_device(), len(data.labels)
    return MeasuredBackbone(config.backbone, config.image_size, labels, device, with_memory=False).facts


SCORING: dict[str, Callable[[TrialJob, str, ImageDataset], dict[str, Any]]] = {
    "test": score_on_test,
    "reference": score_reference,
    "latency": measure_latency,
}
