"""What a submission would take and what is wrong with it, found by `tuner plan` and `tuner check`; nothing is run."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from search_spaces.overrides import NO_OVERRIDES, Overrides, override
from search_spaces.shipped import shipped_paths
from search_spaces.space import load_space
from trainable.errors import UserError
from tuner.config import DataReading, Grant, Resources
from tuner.service.commands import TUNER, Commands
from tuner.service.database.rows import DataSetRow
from tuner.service.submissions.space_text import PROGRAM
from tuner.service.submissions.submission import Submission, SubmittedOverrides, reading_of, search_arguments

SECONDS = 300.0
"""for a plan, which measures backbones, and a check, which reads all data"""
_SPACE_SECONDS = 30.0
_SPACE_FILE = "space.yaml"
_OVERRIDES = {*SubmittedOverrides.model_fields, "objective"}
_CHECKED = {"data", "offline", "cpus_per_trial", "gpus_per_trial", *_OVERRIDES}
_PLANNED = {"data", "trials", *Grant.model_fields, *Resources.model_fields, *_OVERRIDES} - {"disk_gib"}


async def plan(commands: Commands, submission: Submission, data: DataSetRow) -> dict[str, Any]:
    """As `tuner plan --json` says, of a submission whose names are known and which is on these data.

    Raises:
        UserError: what keeps the search from beginning.
        TooManyError: too many others wait.
    """
    return await _asked(commands, "plan", submission, data, _PLANNED)


async def check(commands: Commands, submission: Submission, data: DataSetRow) -> dict[str, Any]:
    """As `tuner check --json` says, mistakes among it; raises as `plan`."""
    return await _asked(commands, "check", submission, data, _CHECKED)


async def require_space(commands: Commands, text: str, overrides: Overrides = NO_OVERRIDES) -> None:
    """Find out that a submitted text is a space.

    Raises:
        UserError: what is wrong with it, a line each.
        TooManyError: too many others wait.
    """
    with _folder(text) as folder:
        ended = await commands.run([*PROGRAM, _SPACE_FILE, overrides.model_dump_json()], folder, _SPACE_SECONDS)
    mistakes = ended.mistakes if ended.code != 0 else json.loads(ended.out)
    if mistakes:
        raise UserError(*mistakes)


def require_overrides(submission: Submission) -> None:
    """Find out that what is replaced goes with a shipped space. Raises UserError, a line for each mistake."""
    overrides = overrides_of(submission)
    if submission.space is not None and overrides != NO_OVERRIDES:
        override(load_space(shipped_paths()[submission.space]), overrides)


def overrides_of(submission: Submission) -> Overrides:
    """What a submission replaces in its space."""
    return Overrides(**submission.overrides.model_dump(), objective=submission.objective)


async def _asked(
    commands: Commands, verb: str, submission: Submission, data: DataSetRow, options: set[str]
) -> dict[str, Any]:
    space = submission.space or _SPACE_FILE
    of_search = search_arguments(submission, "proved", space, Path(data.path), reading_of(submission, data.reading))
    kept = {*options, *DataReading.model_fields}
    options_given = (one for one in of_search if one.startswith("--"))
    arguments = [one for one in options_given if one[2:].partition("=")[0].replace("-", "_") in kept]
    with _folder(submission.space_yaml) as folder:
        ended = await commands.run([*TUNER, verb, *arguments, "--json", "--", space], folder, SECONDS)
    try:
        return dict(json.loads(ended.out))
    except ValueError:
        raise UserError(*ended.mistakes) from None


@contextmanager
def _folder(space: str | None) -> Iterator[Path]:
    """A folder with the submitted text in it, whose name then begins each mistake."""
    with tempfile.TemporaryDirectory(prefix="thaw-") as made:
        folder = Path(made)
        if space is not None:
            (folder / _SPACE_FILE).write_text(space, encoding="utf-8", errors="replace")
        yield folder
