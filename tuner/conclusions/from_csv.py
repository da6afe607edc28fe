"""A table that someone typed, as a table of runs: one row a run, every column read for what it holds."""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainable.errors import UserError
from tuner.conclusions.columns import Column, decimals_of, direction_of, in_percent, levels_of, read_columns, score
from tuner.conclusions.runs import Level, Repeats, Run, Runs, named
from tuner.wording.language import Language, marked, wording

BACKBONES = ("backbone", "model", "architecture", "arch", "network")
"""names of columns that say whose blocks are frozen"""
FREEZES = ("freeze", "freeze_blocks", "frozen_blocks", "frozen", "frozen_layers")

_LEADERBOARD = ("rank", "trial", "status", "tied")
_MOST_RAGGED = 5
_DECIMALS = (2, 4)
"""fewest and most with which differences are told"""


@dataclass(frozen=True)
class ReadTable:
    """A table and how it was read."""

    columns: tuple[Column, ...]
    runs: Runs
    unscored: tuple[str, ...]
    """rows whose objective is no number, such as `row 3: '~94'`; they are left out"""


def read_table(
    path: Path | str, metric: str | None = None, ignored: Collection[str] = (), language: Language = "en"
) -> ReadTable:
    """The runs of a CSV file with a header, separated by commas, semicolons or tabs.

    Raises:
        UserError: it cannot be read, is ragged, has no rows or no objective, or is a search's leaderboard.
    """
    header, rows = _cells(Path(path))
    try:
        columns = read_columns(header, rows, metric, ignored, language)
    except UserError as error:
        raise UserError(*(f"{path}: {mistake}" for mistake in error.mistakes)) from None
    by_name = {name: [row[at] for row in rows] for at, name in enumerate(header)}
    objective = next(column.name for column in columns if column.role == "objective")
    settings = [column.name for column in columns if column.role == "setting" and len(set(by_name[column.name])) > 1]
    runs, unscored = _runs(by_name, objective, settings, language)
    return ReadTable(tuple(columns), runs, unscored)


def _cells(path: Path) -> tuple[list[str], list[list[str]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: is not UTF-8 text; save the table as CSV in UTF-8") from None
    first = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count))
    try:
        lines = [(reader.line_num, line) for line in reader if any(cell.strip() for cell in line)]
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}: is not CSV ({error})") from None
    if len(lines) < 2:
        raise UserError(f"{path}: has no rows; give a header and a row for every run")
    header = [name.strip() for name in lines[0][1]]
    _check_header(path, header)
    ragged = [(number, line) for number, line in lines[1:] if len(line) != len(header)]
    if ragged:
        told = [
            f"{path}, line {number}: {len(line)} cells where the header has {len(header)}; "
            "fill in what is missing, and quote a cell that holds a separator"
            for number, line in ragged[:_MOST_RAGGED]
        ]
        more = len(ragged) - len(told)
        raise UserError(*told, *([f"{path}: {more} more lines are so"] if more else []))
    return header, [line for _, line in lines[1:]]


def _check_header(path: Path, header: Sequence[str]) -> None:
    if tuple(header[: len(_LEADERBOARD)]) == _LEADERBOARD:
        raise UserError(
            f"{path}: is a search's leaderboard; give the search's name or folder, which tells how its trials were "
            "chosen as well"
        )
    twice = [name for name, times in Counter(header).items() if name and times > 1]
    if twice:
        raise UserError(*(f"{path}: column {name!r} is there more than once; rename one" for name in twice))


def _runs(
    by_name: Mapping[str, Sequence[str]], objective: str, settings: Sequence[str], language: Language
) -> tuple[Runs, tuple[str, ...]]:
    levels = {name: levels_of(by_name[name]) for name in settings}
    scores = [score(cell) for cell in by_name[objective]]
    rows = tuple(
        Run(f"row {at + 1}", {name: levels[name][at] for name in settings}, value)
        for at, value in enumerate(scores)
        if value is not None
    )
    decimals = max(decimals_of(cell) for cell in by_name[objective])
    runs = Runs(
        metric=objective,
        direction=direction_of(objective),
        rows=rows,
        settings=tuple(settings),
        unit=marked("percent points") if in_percent(objective) else "",
        decimals=min(max(decimals, _DECIMALS[0]), _DECIMALS[1]),
        freeze=_named(FREEZES, settings),
        backbone=_named(BACKBONES, settings),
        repeats=tuple(_repeats(rows, language)),
        noun="row",
        language=language,
    )
    unscored = [
        runs.say("row {number}: {cell!r}", number=at + 1, cell=by_name[objective][at].strip())
        for at, value in enumerate(scores)
        if value is None
    ]
    return runs, tuple(unscored)


def _named(names: Sequence[str], settings: Sequence[str]) -> str | None:
    return next((setting for setting in settings if setting.lower().replace(" ", "_") in names), None)


def _repeats(rows: Sequence[Run], language: Language) -> Iterator[Repeats]:
    say = wording(language)
    equal: dict[frozenset[tuple[str, Level]], list[Run]] = defaultdict(list)
    for row in rows:
        equal[frozenset(row.settings.items())].append(row)
    for found in equal.values():
        if len(found) > 1:
            told = ", ".join(f"{name} {named(level)}" for name, level in found[0].settings.items())
            count = len(found)
            what = (
                say("{count} rows with {told}", count=count, told=told)
                if told
                else say("all {count} rows", count=count)
            )
            yield Repeats(what, tuple(row.value for row in found))
