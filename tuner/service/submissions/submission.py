"""What people submit, and the command that each of it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from trainable.precision import Precision
from trainable.strict import Strict
from tuner.config import DataReading, Grant, Resources
from tuner.tracking.trackers import parse_tracking

NAME = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}"
"""of a search and of a data set: a plain file name"""
NAME_RULE = "up to 100 letters, digits, '.', '_' and '-', not starting with '.' or '-'"
SPACE_LETTERS = 65_536
"""the most that a space's text may have"""
_TEXT_LETTERS = 10_000

Name = Annotated[str, Field(pattern=f"^{NAME}$")]
Remark = Annotated[str, Field(max_length=_TEXT_LETTERS)]
Given = Annotated[str, Field(max_length=200)]
"""an override, as a command's option has it"""


class Sent(Strict):
    """What comes over the network. No text in it has null characters: no process and no PostgreSQL takes them."""

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, given: object) -> object:
        left = [given]
        while left:  # no recursion: what is sent may be nested deeply
            one = left.pop()
            if isinstance(one, str) and "\0" in one:
                raise ValueError("null characters are no text: leave them out")
            if isinstance(one, Mapping):
                left += [*one.keys(), *one.values()]
            elif isinstance(one, list | tuple):
                left += one
        return given


class SubmittedBudget(Grant):
    """When a search ends; whatever comes first."""

    trials: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """with the baseline; null: the space's budget"""


class SubmittedOverrides(Strict):
    """Values of the space that are replaced: `OLD=NEW`, or `NEW` for a field that is not searched."""

    backbone: Annotated[tuple[Given, ...], Field(max_length=100)] = ()
    image_size: Annotated[tuple[Given, ...], Field(max_length=100)] = ()
    epochs: Annotated[tuple[Given, ...], Field(max_length=100)] = ()
    set: Annotated[tuple[Given, ...], Field(max_length=100)] = ()
    """`FIELD=VALUE` for any field that is not searched"""


class Submission(Sent):
    """A search to be run. It names no path: a space by its name or by its text, data that are registered."""

    name: Name | None = None
    """null: the space's name and the time"""
    space: Annotated[str, Field(max_length=200)] | None = None
    """a shipped space's name"""
    space_yaml: Annotated[str, Field(max_length=SPACE_LETTERS)] | None = None
    """a space's text"""
    data: Name
    """a data set's name"""
    reading: DataReading = DataReading()
    """what is given here replaces what the data set is registered with"""
    objective: Annotated[str, Field(max_length=100)] | None = None
    """null: the space's"""
    budget: SubmittedBudget = SubmittedBudget()
    priority: Annotated[int, Field(ge=-100, le=100)] = 0
    """among the searches of who submits it: the greatest is begun first"""
    overrides: SubmittedOverrides = SubmittedOverrides()
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    top_k: Annotated[int, Field(ge=1, le=1000)] = 3
    repeats: Annotated[int, Field(ge=1, le=100)] | None = None
    folds: Annotated[int, Field(ge=2, le=100)] | None = None
    train_fractions: Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], Field(max_length=20)] = ()
    references: Annotated[tuple[Annotated[str, Field(max_length=500)], ...], Field(max_length=20)] = ()
    hypothesis: Remark = ""
    notes: Remark = ""
    audit: Annotated[int, Field(ge=0, le=1000)] = 0
    tracking: Annotated[str, Field(max_length=100)] = "auto"
    offline: bool = False
    resources: Resources = Resources()
    precision: Precision = "fp32"
    warm_start: Name | None = None
    """an earlier search's name"""

    @field_validator("tracking")
    @classmethod
    def _known_trackers(cls, tracking: str) -> str:
        return parse_tracking(tracking)

    @model_validator(mode="after")
    def _one_space(self) -> Self:
        if (self.space is None) == (self.space_yaml is None):
            raise ValueError("give either space, a shipped space's name, or space_yaml, a space's text")
        return self


class GoOn(Grant):
    """What a search goes on with; what is not given is as before."""

    verb: Literal["resume"] = "resume"
    accept_changes: bool = False
    """go on though space, data or code have changed, and record how"""


class Extend(Sent, Grant):
    """What is added to a search: new trials, also of a wider space, or more epochs for its best ones."""

    verb: Literal["extend"] = "extend"
    accept_changes: bool = False
    trials: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """more than it had"""
    space: Annotated[str, Field(max_length=200)] | None = None
    """a wider one, shipped, that they are of; null: the search's own"""
    space_yaml: Annotated[str, Field(max_length=SPACE_LETTERS)] | None = None
    """likewise, as a text"""
    epochs: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """more for the best trials"""
    top: Annotated[int, Field(ge=1, le=1000)] | None = None
    """how many of them"""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        adds = self.trials or self.space or self.space_yaml
        if self.space and self.space_yaml:
            raise ValueError("give either space or space_yaml")
        if bool(adds) == bool(self.epochs):
            raise ValueError("give trials (or a wider space) or epochs, one kind at a time")
        if self.top and not self.epochs:
            raise ValueError("top says how many trials get more epochs: give epochs as well")
        return self


Wish = GoOn | Extend


def read_wish(stored: Mapping[str, Any]) -> Wish:
    """A wish as it is in its row."""
    return Extend.model_validate(stored) if stored.get("verb") == "extend" else GoOn.model_validate(stored)


def reading_of(submission: Submission, registered: Mapping[str, Any]) -> DataReading:
    """How the data are read: as they are registered, but for what the submission says."""
    return DataReading.model_validate({**registered, **submission.reading.model_dump(exclude_unset=True)})


def search_arguments(submission: Submission, name: str, space: str, data: Path, reading: DataReading) -> list[str]:
    """The arguments of `tuner` that search so, but for where its results and its Ray are.

    Args:
        space: a shipped space's name, or the path of a file with the submitted text
        data: the registered path
    """
    options: dict[str, Any] = {
        "name": name,
        "data": data,
        **reading.model_dump(exclude_defaults=True),
        **submission.budget.given,
        **submission.overrides.model_dump(),
        "objective": submission.objective,
        "seed": submission.seed,
        "top": submission.top_k,
        "repeats": submission.repeats,
        "folds": submission.folds,
        "train_fractions": ",".join(f"{share:g}" for share in submission.train_fractions) or None,
        "reference": submission.references,
        "hypothesis": submission.hypothesis or None,
        "notes": submission.notes or None,
        "audit": submission.audit,
        "tracking": submission.tracking,
        "offline": submission.offline,
        **submission.resources.model_dump(exclude_none=True),
        "precision": submission.precision,
        "warm_start": submission.warm_start,
    }
    return ["search", *as_options(options), "--", space]


def going_on_arguments(wish: Wish, name: str, space: str | None = None) -> list[str]:
    """Likewise of `tuner resume` and `tuner extend`.

    Args:
        space: of an extension, as `search_arguments`
    """
    options: dict[str, Any] = {"accept_changes": wish.accept_changes}
    options |= {limit: getattr(wish, limit) for limit in Grant.model_fields}
    if isinstance(wish, Extend):
        options |= {"trials": _more(wish.trials), "epochs": _more(wish.epochs), "top": wish.top, "space": space}
    return [wish.verb, *as_options(options), "--", name]


def _more(number: int | None) -> str | None:
    return f"+{number}" if number else None


def as_options(options: Mapping[str, Any]) -> Iterator[str]:
    """As `--option=value`, so that no value is taken for an option."""
    for name, value in options.items():
        option = f"--{name.replace('_', '-')}"
        if value is True:
            yield option
        elif isinstance(value, tuple):
            yield from (f"{option}={one}" for one in value)
        elif value is not None and value is not False:
            yield f"{option}={value}"
