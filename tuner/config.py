"""A search, fully decided: what is searched, on what data, with what means."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import AfterValidator, Field, SecretStr, ValidationError, ValidationInfo, field_validator

from search_spaces.overrides import NO_OVERRIDES, Overrides
from trainable.compute import ComputeChoice
from trainable.data.manifest import Layout
from trainable.errors import UserError
from trainable.precision import Precision
from trainable.strict import Strict
from trainable.task import TaskChoice
from tuner.storage.place import Place, as_place
from tuner.tracking.trackers import AUTO, parse_tracking
from tuner.wording.language import Language

DEFAULT_SPLIT = "70/15/15"


_Short = Annotated[str, Field(max_length=1000)]
"""processes are told it on their command lines"""


class DataReading(Strict):
    """How labelled images are read and split."""

    task: TaskChoice = "auto"
    """as the space says, or else as the data look"""
    layout: Layout = "auto"
    image_column: _Short | None = None
    label_column: _Short | None = None
    labels_separator: _Short | None = None
    split: _Short | None = None
    """percent of train/val/test, or of train/val; a split that the data give wins; None: the space's, or 70/15/15"""
    drop_rare_labels: Annotated[int, Field(ge=1)] | None = None
    """labels with fewer positives are left out"""
    skip_unreadable: bool = False
    """leave out images that cannot be decoded, instead of stopping"""
    strict_data: bool = False
    """stop at warnings of the inspection as at errors"""
    data_seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """keys the split and the augmented views; one for the search"""


class DataConfig(DataReading):
    """Where the labelled images are as well."""

    path: Path
    """a folder of class folders, of split folders, or a CSV or Parquet manifest"""


def _gpus(number: float) -> float:
    if number > 1 and not number.is_integer():
        raise ValueError("should be a share of one GPU (such as 0.5) or a whole number of them")
    return number


class Resources(Strict):
    """What one trial may use, and how many run at once."""

    cpus_per_trial: Annotated[float, Field(gt=0)] = 1.0
    gpus_per_trial: Annotated[float, Field(ge=0), AfterValidator(_gpus)] | None = None
    """a share lets several trials have one GPU; None: what a trial is seen to need, 0 where there is no GPU"""
    workers: Annotated[int, Field(ge=1)] | None = None
    """trials at once; None: as many as CPUs and GPUs allow"""
    threads_per_trial: Annotated[int, Field(ge=1)] = 1
    """CPU threads of torch in a trial; part of what makes a result the same again"""


class Reruns(Strict):
    """What is trained again once the trials have ended."""

    repeats: Annotated[int, Field(ge=1, le=100)] | None = None
    """runs of each of the best configs and of the baseline, with new seeds"""
    resplit: bool = False
    """each repeat also deals train and val out anew"""
    folds: Annotated[int, Field(ge=2, le=100)] | None = None
    """the same configs in cross-validation over train and val together, for small data"""
    train_fractions: tuple[Annotated[float, Field(gt=0, le=1)], ...] = ()
    """the best config on shares of the training images"""

    @field_validator("resplit")
    @classmethod
    def _resplit_repeats(cls, resplit: bool, info: ValidationInfo) -> bool:
        if resplit and info.data.get("repeats") is None:
            raise ValueError("is about repeats: give --repeats as well")
        return resplit


class Grant(Strict):
    """What a search may take when it goes on; None: what it was granted before."""

    hours: Annotated[float, Field(gt=0)] | None = None
    """counted from then"""
    gpu_hours: Annotated[float, Field(gt=0)] | None = None
    """likewise"""
    disk_gib: Annotated[float, Field(gt=0)] | None = None
    """of its folder, with what is there"""

    @property
    def given(self) -> dict[str, float]:
        return self.model_dump(exclude_none=True)

    @property
    def times(self) -> dict[str, float]:
        """What is counted from then."""
        return self.model_dump(exclude_none=True, exclude={"disk_gib"})


AS_BEFORE = Grant()


class SearchConfig(Strict):
    """A space, data and a budget; resolved, it is written to search.yaml."""

    name: str
    space: str
    """a shipped space's name or a file"""
    data: DataConfig
    overrides: Overrides = NO_OVERRIDES
    """values of the space that are replaced"""
    trials: Annotated[int, Field(ge=1)] | None = None
    """None: the space's own budget"""
    hours: Annotated[float, Field(gt=0)] | None = None
    """wall-clock limit over all runs; running trials stop at their next epoch"""
    gpu_hours: Annotated[float, Field(gt=0)] | None = None
    """likewise, of all trials together: hours that each has GPUs, times how many"""
    disk_gib: Annotated[float, Field(gt=0)] | None = None
    """the most that the search's folder may take; None: what its disk has, but for a reserve"""
    warm_start: str | None = None
    """an earlier search's name or folder, whose best trials come right after the baseline"""
    warm_start_top: Annotated[int, Field(ge=1)] = 5
    """how many of them at most"""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """keys the sampler"""
    top_k: Annotated[int, Field(ge=1)] = 3
    """best configs that are written to top/ and scored on test"""
    audit: Annotated[int, Field(ge=0)] = 0
    """halted trials, drawn at random, that are trained to their end: was halving safe?"""
    max_same_failures: Annotated[int, Field(ge=0)] = 5
    """trials that may fail with one error; one more stops the search"""
    reruns: Reruns = Reruns()
    references: tuple[str, ...] = ()
    """scores of other models that stand in the table, such as `best ML model: accuracy=0.96`"""
    hypothesis: str = ""
    """default: the space's"""
    notes: str = ""
    language: Language = "en"
    """of tables, conclusions and pages"""
    precision: Precision = "fp32"
    """of every trial's networks; one for the search, so that its trials can be compared"""
    compute: ComputeChoice = "plain"
    """auto: a probe on the worker may choose another memory layout or a compiled step, where that is faster"""
    resources: Resources = Resources()
    results: Annotated[Place, AfterValidator(as_place)] = Path("results")
    """a folder, or a URL"""
    tracking: Annotated[str, AfterValidator(parse_tracking), Field(validate_default=True)] = Field(
        default_factory=lambda: os.environ.get("THAW_TRACKING", AUTO)
    )
    """auto: the trackers that are configured; off; or some by name, without which the search does not begin"""
    offline: bool = False
    """never download pretrained weights"""
    notify: Annotated[tuple[SecretStr, ...], Field(exclude=True, repr=False)] = ()
    """addresses of services, as apprise has them, or files of such; they hold passwords and are written nowhere"""

    @field_validator("notify", mode="before")
    @classmethod
    def _one_or_more(cls, notify: object) -> object:
        return notify.split() if isinstance(notify, str) else notify


Options = TypeVar("Options", SearchConfig, DataConfig, Resources, Grant)

_OPTION_NAMES = {"top_k": "top", "language": "lang"}
"""fields whose option is called otherwise"""


def parse_options(model: type[Options], **fields: object) -> Options:
    """A config from a command's options.

    Raises:
        UserError: every wrong option, one line each.
    """
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        mistakes = []
        for finding in error.errors():
            field = next(str(part) for part in reversed(finding["loc"]) if isinstance(part, str))
            option = "--" + _OPTION_NAMES.get(field, field).replace("_", "-")
            rule = finding["msg"].removeprefix("Value error, ").removeprefix("Input ")
            mistakes.append(f"{option} {finding.get('input')!r}: {rule}")
        raise UserError(*mistakes) from None
