"""Runs of one experiment, wherever they come from: their settings and the value each of them reached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from tuner.records import Direction
from tuner.report import table
from tuner.wording.language import Language, Noun, wording

Level = str | int | float
"""a setting's value"""

Design = Literal["matched", "random", "adaptive"]
"""how runs were chosen: `matched`, as in a grid, where runs that are equal otherwise tell what a setting does;
`random`, where averages over the other settings are fair too; `adaptive`, where later runs were chosen, or ended, by
what earlier ones scored, so that no difference is an effect"""


@dataclass(frozen=True)
class Run:
    """One row."""

    name: str
    settings: Mapping[str, Level]
    """setting -> level; one that does not exist beside the others is missing"""
    value: float
    freeze_blocks: int | None = None
    """what the setting `freeze` comes to in this run's backbone"""
    drawn: bool = True
    """False: a person chose it, as the baseline of a search"""
    block: str = ""
    """the seeds it was run with; runs of one block are compared with each other only"""


@dataclass(frozen=True)
class Repeats:
    """Runs that are equal in every setting; how they differ is what luck alone does."""

    what: str
    """such as `3 rows with backbone resnet50, epochs 5`"""
    values: tuple[float, ...]

    @property
    def spread(self) -> float:
        """The largest value minus the smallest."""
        return max(self.values) - min(self.values)


@dataclass(frozen=True)
class Runs:
    """A table of runs of equal fidelity."""

    metric: str
    direction: Direction
    rows: tuple[Run, ...]
    settings: tuple[str, ...]
    design: Design = "matched"
    chosen_by: str = ""
    """why the design is adaptive, such as `proposed by tpe`"""
    unit: str = ""
    """of the metric, where it has one"""
    decimals: int = 3
    """with which its values are told"""
    freeze: str | None = None
    """the setting that counts frozen blocks"""
    backbone: str | None = None
    """the setting that says whose blocks they are"""
    repeats: tuple[Repeats, ...] = ()
    noun: str = "run"
    """what a row is called"""
    again: tuple[Run, ...] = ()
    """runs of some rows' settings in other blocks"""
    luck: float = 0.0
    """standard deviation of equal runs beyond what all runs of their block share; 0 where it is not known"""
    images: int | None = None
    """of validation, where all rows share them and the seed"""
    epochs: str | None = None
    """the setting that says for how long a run trains"""
    language: Language = "en"
    """in which it is told of them"""

    @property
    def spread(self) -> float:
        """The largest spread of equal runs; 0 where none are equal."""
        return max((repeats.spread for repeats in self.repeats), default=0.0)

    def say(self, text: str, /, **values: object) -> str:
        """A text in their language, that may have a place for what a row is called."""
        return wording(self.language)(text, noun=Noun(self.noun), **values)


def is_number(level: Level) -> bool:
    """Whether a level has a size and not only a name."""
    return not isinstance(level, str)


def named(level: Level) -> str:
    """A level as a sentence tells it; a sign that stands for one is quoted."""
    text = table.short(level)
    return text if any(map(str.isalnum, text)) else repr(text)
