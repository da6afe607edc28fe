"""Read a table of images and labels: which columns mean what, and one label or several in a cell."""

from __future__ import annotations

import ast
import csv
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainable.errors import UserError, nearest
from trainable.task import Task

TABLE_SUFFIXES = (".csv", ".tsv", ".parquet")
IMAGE_COLUMNS = (
    *("image", "path", "file", "filename", "file_name", "image_name", "image_path"),
    *("filepath", "file_path", "image_file", "image_id", "img"),
)
LABEL_COLUMNS = ("label", "labels", "class", "classes", "category", "categories", "tag", "tags", "target", "targets")
SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
SEPARATORS = (";", "|", ",", " ")
"""Tried in this order; the first two hardly ever occur inside a name."""
ZERO_ONE = {"0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True}


@dataclass(frozen=True)
class Cells:
    """One row of the table with its columns understood."""

    image: str
    labels: tuple[str, ...]
    split: str | None
    group: str | None
    line: int


@dataclass(frozen=True)
class LabelTable:
    """A table with its columns understood."""

    path: Path
    rows: list[Cells]
    labels: tuple[str, ...]
    task: Task
    layout: str
    malformed: list[tuple[str, int, str]]
    """Rows that could not be used: kind, line, message."""
    hints: list[str]


@dataclass(frozen=True)
class _Raw:
    """The table as text: `rows` are (line, cells by column)."""

    kind: str
    columns: list[str]
    rows: list[tuple[int, dict[str, str]]]
    malformed: list[tuple[str, int, str]]

    def column(self, name: str) -> list[str]:
        return [cells[name] for _, cells in self.rows]


@dataclass(frozen=True)
class _Labelling:
    """Where the labels are: the labels of each row, the task that follows and the words for it."""

    cells: list[tuple[str, ...]]
    columns: list[str]
    task: Task
    words: str
    hint: str = ""


def read_label_table(
    path: Path, task: str, layout: str, image_column: str | None, label_columns: list[str], separator: str | None
) -> LabelTable:
    """Read a CSV, TSV or Parquet file and find its image, label, split and group columns.

    One label column holds a class, or several labels as a list or joined by a separator. Whether a character is a
    separator is decided by `_is_separator`; `task` and `separator` settle it. Raises UserError.
    """
    raw = _read_parquet(path) if path.suffix.lower() == ".parquet" else _read_text(path)
    if not raw.rows:
        raise UserError(f"{path}: no rows; a manifest has a header and one row an image")
    if separator == "":
        raise UserError("labels_separator is empty; give the character between labels, or leave it out")
    for given in (image_column, *label_columns):
        if given is not None and given not in raw.columns:
            known = ", ".join(raw.columns)
            raise UserError(f"{path}: no column {given!r}{nearest(given, raw.columns)} (columns: {known})")
    image = image_column or _image_column(path, raw)
    roles = {_plain(name): name for name in raw.columns if name not in (image, *label_columns)}
    split, group = roles.get("split"), roles.get("group")
    rest = [name for name in raw.columns if name not in (image, split, group)]
    labelling = _labelling(path, raw, rest, label_columns, task, layout, separator)
    ignored = [name for name in rest if name not in labelling.columns]
    words = [f"{raw.kind}, {labelling.words}"]
    words += [f"{name} column" for name in (split, group) if name]
    words += [f"ignored: {', '.join(ignored)}"] if ignored else []
    indicators = tuple(labelling.columns) if len(labelling.columns) > 1 else ()
    rows, malformed = _understood(path, raw, labelling.cells, image, split, group)
    return LabelTable(
        path, rows, indicators, labelling.task, "; ".join(words), [*raw.malformed, *malformed], _hints(labelling)
    )


def _hints(labelling: _Labelling) -> list[str]:
    return [labelling.hint] if labelling.hint else []


def _understood(
    path: Path, raw: _Raw, labels: list[tuple[str, ...]], image: str, split: str | None, group: str | None
) -> tuple[list[Cells], list[tuple[str, int, str]]]:
    rows: list[Cells] = []
    malformed: list[tuple[str, int, str]] = []
    for (line, cells), row_labels in zip(raw.rows, labels, strict=True):
        given = cells[split].strip() if split else ""
        if given and given.lower() not in SPLIT_NAMES:
            raise UserError(f"{path}, line {line}: split {given!r}; a split is train, val or test")
        if not cells[image].strip():
            malformed.append(("no_image", line, f"column {image!r} is empty; name the image or remove the row"))
            continue
        row_group = (cells[group].strip() or None) if group else None
        rows.append(Cells(cells[image].strip(), row_labels, SPLIT_NAMES.get(given.lower()), row_group, line))
    return rows, malformed


def _read_text(path: Path) -> _Raw:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline()
            delimiter = "\t" if path.suffix.lower() == ".tsv" else max(",;\t", key=header.count)
            file.seek(0)
            reader = csv.reader(file, delimiter=delimiter)
            columns = [name.strip() for name in next(reader, [])]
            lines = [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 ({error.reason} at byte {error.start}); save the table as UTF-8") from None
    except csv.Error as error:
        raise UserError(f"{path}: not a readable CSV ({error}); save it again from a spreadsheet or pandas") from None
    repeated = [name for name, count in Counter(columns).items() if count > 1]
    if repeated:
        raise UserError(f"{path}: column {repeated[0]!r} occurs twice; column names are unique")
    rows, malformed = [], []
    for line, cells in lines:
        if len(cells) == len(columns):
            rows.append((line, dict(zip(columns, cells, strict=True))))
        else:
            message = f"{len(cells)} cells under {len(columns)} columns; quote cells that hold a {delimiter!r}"
            malformed.append(("ragged_row", line, message))
    return _Raw("TSV" if delimiter == "\t" else "CSV", columns, rows, malformed)


def _read_parquet(path: Path) -> _Raw:
    import pyarrow
    from pyarrow import parquet

    try:
        table = parquet.read_table(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise UserError(f"{path}: not a readable Parquet file ({str(error).splitlines()[0]})") from None
    listed = enumerate(table.to_pylist(), 1)
    rows = [(row, {name: _text(cell) for name, cell in cells.items()}) for row, cells in listed]
    return _Raw("Parquet", list(table.column_names), rows, [])


def _text(cell: Any) -> str:
    """A Parquet cell as a CSV would write it; lists as JSON."""
    if cell is None:
        return ""
    return json.dumps(cell) if isinstance(cell, list) else str(cell)


def _plain(name: str) -> str:
    return name.strip().lower().replace(" ", "_").replace("-", "_")


def _image_column(path: Path, raw: _Raw) -> str:
    candidates = [name for name in raw.columns if _plain(name) in IMAGE_COLUMNS]
    if len(candidates) > 1:
        # `image_id` beside `filename`: the one whose cells are files.
        named = {name: raw.rows[0][1][name].strip() for name in candidates}
        candidates = [name for name, cell in named.items() if cell and (path.parent / cell).is_file()] or candidates
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        raise UserError(f"{path}: the image could be in {' or '.join(candidates)}; name one as image_column")
    raise UserError(
        f"{path}: no image column among {', '.join(raw.columns)}; call it `image`, or name it as image_column"
    )


def _labelling(
    path: Path, raw: _Raw, rest: list[str], given: list[str], task: str, layout: str, separator: str | None
) -> _Labelling:
    if layout == "indicator_columns" or len(given) > 1:
        return _indicators(path, raw, given or rest, task)
    if given:
        return _one_column(raw, given[0], task, layout, separator)
    if not rest:
        raise UserError(f"{path}: only {', '.join(raw.columns)}; a label column or one 0/1 column per label is missing")
    flags = [name for name in rest if all(_plain(cell) in ZERO_ONE for cell in raw.column(name))]
    named = [name for name in rest if _plain(name) in LABEL_COLUMNS]
    if layout == "auto" and separator is None and len(flags) == len(rest) and (len(rest) > 1 or not named):
        return _indicators(path, raw, rest, task)
    if len(named) == 1 or len(rest) == 1:
        return _one_column(raw, (named or rest)[0], task, layout, separator)
    if len(flags) > len(rest) / 2 and not named:
        return _indicators(path, raw, rest, task)
    raise UserError(
        f"{path}: labels could be in {', '.join(named or rest)}; name the column as label_column "
        "(or all 0/1 columns, one per label)"
    )


def _indicators(path: Path, raw: _Raw, columns: list[str], task: str) -> _Labelling:
    """One 0/1 column per label; exactly one 1 in every row of several columns means classes unless `task` differs."""
    mistakes = [
        f"{path}, line {line}: {name} is {cells[name]!r}; a 0/1 column per label holds 0 or 1: "
        "correct it, or name the label columns as label_column"
        for line, cells in raw.rows
        for name in columns
        if _plain(cells[name]) not in ZERO_ONE
    ]
    if mistakes:
        raise UserError(*mistakes[:10])
    labels = [tuple(sorted(name for name in columns if ZERO_ONE[_plain(cells[name])])) for _, cells in raw.rows]
    exclusive = len(columns) > 1 and all(len(row) == 1 for row in labels)
    words = f"one 0/1 column per label, {len(columns)} labels" + (", exactly one 1 in every row" if exclusive else "")
    return _Labelling(labels, columns, _decided(task, "multiclass" if exclusive else "multilabel"), words)


def _one_column(raw: _Raw, name: str, task: str, layout: str, separator: str | None) -> _Labelling:
    cells = [cell.strip() for cell in raw.column(name)]
    lists = [_listed(cell) for cell in cells]
    if separator is None and layout != "class_column" and all(row is not None for row in lists) and any(lists):
        labels = [_sorted(row or ()) for row in lists]
        words = f"one column {name!r} of lists of labels"
        return _Labelling(labels, [name], _decided(task, "multilabel"), words)
    if separator is None and task == "multiclass" and layout == "auto":
        _refuse_several(name, cells)
    several = task == "multilabel" or layout == "labels_column"
    hint = ""
    if separator is None and task != "multiclass" and layout != "class_column":
        occurring = [mark for mark in SEPARATORS if any(mark in cell for cell in cells)]
        separator = next((mark for mark in occurring if several or _is_separator(mark, cells)), None)
        if occurring and separator is None:
            hint = f"cells of {name!r} hold {occurring[0]!r} but are read as whole names; if they hold several labels, "
            hint += f"give labels_separator: {occurring[0]!r}"
    if separator is None:
        labels = [(cell,) if cell else () for cell in cells]
        return _Labelling(labels, [name], _decided(task, "multiclass"), f"one column {name!r} of one label", hint)
    labels = [_sorted(cell.split(separator)) for cell in cells]
    words = f"one column {name!r} of several labels separated by {separator!r}"
    return _Labelling(labels, [name], _decided(task, "multilabel"), words)


def _refuse_several(name: str, cells: Sequence[str]) -> None:
    mark = next((mark for mark in ";|" if _is_separator(mark, cells)), None)
    if mark:
        raise UserError(
            f"column {name!r}: cells hold several labels with {mark!r} between them, but multi-class has one an image; "
            "set the task to multilabel, or the layout to class_column if these are whole names"
        )


def _decided(task: str, detected: Task) -> Task:
    if task == "auto":
        return detected
    return "multilabel" if task == "multilabel" else "multiclass"


def _sorted(labels: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted({label.strip() for label in labels} - {""}))


def _listed(cell: str) -> list[str] | None:
    """The items of a JSON or Python list; an empty cell is an empty list; None for anything else."""
    if not cell:
        return []
    if not (cell.startswith("[") and cell.endswith("]")):
        return None
    try:
        items = ast.literal_eval(cell)
    except (ValueError, SyntaxError):
        return None
    return [str(item) for item in items]


def _is_separator(mark: str, cells: Sequence[str]) -> bool:
    """Whether a character joins labels rather than being part of names.

    The parts of joined cells must recur: fewer distinct parts than distinct cells, and most parts of joined cells seen
    in another cell too. A comma or a space also occurs inside names (`golden retriever`, `labrador retriever`), so
    for those cells must differ in their number of parts and some part must stand alone in a cell; for a space there
    must be twice as many distinct cells as parts as well: sets of labels combine, names do not.
    """
    distinct = {frozenset(_sorted(cell.split(mark))) for cell in cells if cell}
    joined = [parts for parts in distinct if len(parts) > 1]
    seen = Counter(part for parts in distinct for part in parts)
    tokens = {part for parts in joined for part in parts}
    recurring = sum(seen[part] > 1 for part in tokens)
    if not joined or len(seen) >= len(distinct) or 2 * recurring < len(tokens):
        return False
    if mark in ";|":
        return True
    alone = {part for parts in distinct if len(parts) == 1 for part in parts}
    varied = len({len(parts) for parts in distinct}) > 1 and bool(alone & tokens)
    return varied and (mark == "," or 2 * len(seen) <= len(distinct))
