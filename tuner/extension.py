"""What is to be tried beyond what a search was begun with."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from search_spaces.overrides import NO_OVERRIDES, override
from search_spaces.space import Space, load_space
from trainable.errors import UserError
from tuner.config import SearchConfig
from tuner.records import TrialRecord


@dataclass(frozen=True)
class Extension:
    """What a search is to try beyond what it was begun with: more trials, or more epochs for its best ones."""

    trials: int | None = None
    """more than it had; None: as many as `space` has, or none"""
    space: str | None = None
    """a shipped one's name or a file, whose trials they are; None: the search's own"""
    epochs: int | None = None
    """more than they had, for the best trials"""
    top: int | None = None
    """how many of those; None: as many as the search has in top/"""


def with_more_trials(
    config: SearchConfig, space: Space, extension: Extension, tried: Iterable[TrialRecord]
) -> tuple[SearchConfig, Space, str]:
    """The search with more trials, of a wider space if one is given, and how it is extended in words.

    Raises:
        UserError: its trials could not be compared with those that are there, or a grid has no others.
    """
    before = config.trials or space.trials()
    if extension.space is None:
        added = _of_grid(override(space, config.overrides)[0], tried, extension.trials or 0)
        return config.model_copy(update={"trials": before + added}), space, _counted(added)
    wider, space = load_space(extension.space), override(space, config.overrides)[0]
    for name in ("objective", "task", "scheduler"):
        there, here = getattr(space, name), getattr(wider, name)
        if there != here:
            raise UserError(
                f"--space {extension.space}: its {name} is {_told(here)}, the search's {_told(there)}: trials could "
                f"not be compared; give it the same {name}, or run a search of its own"
            )
    if space.baseline_config().epochs != wider.baseline_config().epochs:
        raise UserError(f"--space {extension.space}: its trials have other epochs than the search's; make them equal")
    added = _of_grid(wider, tried, extension.trials or wider.trials())
    again = {"trials": before + added, "space": extension.space, "overrides": NO_OVERRIDES}
    return config.model_copy(update=again), wider, f"{_counted(added)} of {extension.space}"


def _of_grid(space: Space, tried: Iterable[TrialRecord], wanted: int) -> int:
    """How many trials a space has to add: a grid, no more than it has untried."""
    if space.sampler != "grid":
        return wanted
    known = {_key(trial.params) for trial in tried}
    untried = sum(_key(point) not in known for point in space.grid())
    if not untried:
        raise UserError(f"space {space.name!r} is a grid that has been tried whole: give a wider one with --space")
    return min(wanted, untried)


def _key(params: Any) -> str:
    return json.dumps(params, sort_keys=True)


def _counted(trials: int) -> str:
    return f"{trials} more trial{'s' * (trials > 1)}"


def _told(setting: Any) -> str:
    return str(setting.model_dump() if hasattr(setting, "model_dump") else setting)
