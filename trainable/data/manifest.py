"""Read which images there are and what is on them, from folders or from a table."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trainable.data.tables import SPLIT_NAMES, TABLE_SUFFIXES, LabelTable, read_label_table
from trainable.errors import UserError
from trainable.task import Task, TaskChoice

Layout = Literal["auto", "folders", "split_folders", "class_column", "labels_column", "indicator_columns"]
Severity = Literal["error", "warning"]

IMAGE_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
TABLE_LAYOUTS = ("class_column", "labels_column", "indicator_columns")


@dataclass(frozen=True)
class Problem:
    """One thing wrong with the data: how bad it is, its kind, the row it is in and what to do."""

    severity: Severity
    kind: str
    row: str
    """Image id, with the table's line where there is one; a label or folder name where no single row is at fault."""
    message: str


@dataclass(frozen=True)
class Row:
    """One image and its labels."""

    image: str
    """The image's id: its posix path relative to the manifest's root, absolute where it lies outside; unique."""
    path: Path
    labels: tuple[str, ...]
    """Sorted, without repetition; empty where the row has none."""
    split: str | None
    """`train`, `val` or `test` where the data says so."""
    group: str | None
    line: int
    """Line in the table, header included (the row number, from 1, in Parquet); 0 for folders."""

    @property
    def where(self) -> str:
        """The image id, followed by the table's line where there is one."""
        return f"{self.image} (line {self.line})" if self.line else self.image


@dataclass(frozen=True)
class Manifest:
    """Every image with its labels, and the problems found while reading them."""

    root: Path
    rows: tuple[Row, ...]
    """Sorted by image id."""
    labels: tuple[str, ...]
    """Sorted."""
    task: Task
    layout: str
    """What was recognised, in one line for people."""
    source: Path
    """The folder or table that was read."""
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class _Found:
    """What a reader of one layout hands back, before rows are sorted and duplicates settled."""

    rows: list[Row]
    task: Task
    layout: str
    problems: list[Problem]
    labels: tuple[str, ...] = ()
    """Labels known beyond those on rows, such as a 0/1 column without a single 1."""


def read_manifest(
    path: Path,
    *,
    task: TaskChoice = "auto",
    layout: Layout = "auto",
    image_column: str | None = None,
    label_column: str | Sequence[str] | None = None,
    labels_separator: str | None = None,
) -> Manifest:
    """Read a folder per class, split folders of class folders, or a CSV, TSV or Parquet table of images and labels.

    `path` is a folder, or the table itself; paths inside a table are relative to the table's folder. The layout is
    detected; `layout` and the three column arguments override that (a list as `label_column` names 0/1 columns).
    Raises UserError for data that cannot be read at all; what is wrong with single rows lands in `Manifest.problems`.
    """
    source = path.expanduser().absolute()
    if not source.exists():
        raise UserError(f"{path}: no such file or folder; give a folder of images or a CSV or Parquet table")
    table = _table_in(source, layout, wanted=any((image_column, label_column, labels_separator)))
    if table is not None:
        root = table.parent
        columns = [label_column] if isinstance(label_column, str) else list(label_column or ())
        found = _rows_of_table(read_label_table(table, task, layout, image_column, columns, labels_separator), root)
    else:
        root = source
        found = _rows_of_folders(source, layout, "multiclass" if task == "auto" else task)
    if not found.rows:
        raise UserError(f"{path}: no images found; image files end in {', '.join(IMAGE_SUFFIXES)}")
    rows, duplicates = _settle_duplicates(found.rows)
    labels = tuple(sorted({label for row in rows for label in row.labels} | set(found.labels)))
    if not labels:
        raise UserError(f"{path}: no row has a label; a model needs at least one label to learn")
    if found.task == "multiclass" and len(labels) < 2:
        raise UserError(f"{path}: the only class is {labels[0]!r}; multi-class needs two or more (or task: multilabel)")
    return Manifest(root, rows, labels, found.task, found.layout, table or source, (*found.problems, *duplicates))


def _table_in(source: Path, layout: Layout, *, wanted: bool) -> Path | None:
    """The table to read, or None where the folders themselves are the manifest."""
    if source.is_file():
        if source.suffix.lower() not in TABLE_SUFFIXES:
            raise UserError(f"{source}: {source.suffix or 'no suffix'}: a manifest is {', '.join(TABLE_SUFFIXES)}")
        if layout in ("folders", "split_folders"):
            raise UserError(f"{source}: layout {layout!r} needs a folder; give the folder that holds the images")
        return source
    if layout in ("folders", "split_folders"):
        return None
    tables = sorted(entry for entry in _visible(source) if entry.suffix.lower() in TABLE_SUFFIXES and entry.is_file())
    if len(tables) > 1:
        names = ", ".join(table.name for table in tables)
        raise UserError(f"{source}: several tables ({names}); give the path of the one that is the manifest")
    if not tables:
        if wanted or layout in TABLE_LAYOUTS:
            raise UserError(f"{source}: columns or layout {layout!r} were given, but there is no CSV or Parquet here")
        return None
    with_images = [folder for folder in _visible(source) if folder.is_dir() and any(_images_under(folder))]
    if layout == "auto" and not wanted and len(with_images) > 1:
        raise UserError(
            f"{source}: both {tables[0].name} and {len(with_images)} folders of images could be the manifest; "
            f"give the path of {tables[0].name}, or layout: folders"
        )
    return tables[0]


def _visible(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith((".", "__")))


def _images_under(folder: Path) -> Iterator[Path]:
    """Image files below a folder, however deep, links followed, hidden ones left out."""
    for parent, folders, files in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__")))
        for name in sorted(files):
            if not name.startswith(".") and name.lower().endswith(IMAGE_SUFFIXES):
                yield Path(parent, name)


def _rows_of_folders(root: Path, layout: Layout, task: Task) -> _Found:
    folders = [entry for entry in _visible(root) if entry.is_dir()]
    if layout == "auto":
        split = [folder for folder in folders if _is_split_folder(folder)]
        if split and len(split) < len(folders):
            others = ", ".join(folder.name for folder in folders if folder not in split)
            raise UserError(
                f"{root}: {split[0].name} is a split folder, {others} is not: name split folders train, val and test, "
                "or give layout: folders"
            )
        layout = "split_folders" if split else "folders"
    if layout == "folders":
        rows, problems = _class_rows(root, root, None)
        return _Found(rows, task, f"a folder per class, {_count(len({row.labels for row in rows}), 'class')}", problems)
    rows, problems = [], []
    for folder in folders:
        if folder.name.lower() not in SPLIT_NAMES:
            raise UserError(f"{folder}: unknown split folder; split folders are {', '.join(sorted(SPLIT_NAMES))}")
        more_rows, more_problems = _class_rows(root, folder, SPLIT_NAMES[folder.name.lower()])
        rows += more_rows
        problems += more_problems
    return _Found(rows, task, f"{', '.join(folder.name for folder in folders)} folders of class folders", problems)


def _is_split_folder(folder: Path) -> bool:
    """Whether a folder is named after a split and holds class folders (a class called `test` holds images)."""
    if folder.name.lower() not in SPLIT_NAMES:
        return False
    return any(entry.is_dir() for entry in _visible(folder)) and not _loose_images(folder)


def _loose_images(folder: Path) -> list[Path]:
    return [entry for entry in _visible(folder) if entry.is_file() and entry.name.lower().endswith(IMAGE_SUFFIXES)]


def _class_rows(root: Path, parent: Path, split: str | None) -> tuple[list[Row], list[Problem]]:
    """Rows of the class folders in `parent`; the images of a class may lie deeper."""
    rows: list[Row] = []
    problems = [
        Problem("warning", "loose_image", loose.relative_to(root).as_posix(), "lies in no class folder; left out")
        for loose in _loose_images(parent)
    ]
    for folder in (entry for entry in _visible(parent) if entry.is_dir()):
        images = list(_images_under(folder))
        if not images:
            where = folder.relative_to(root).as_posix()
            problems.append(Problem("warning", "empty_folder", where, "class folder without an image; left out"))
        for image in images:
            rows.append(Row(image.relative_to(root).as_posix(), image, (folder.name.strip(),), split, None, 0))
    return rows, problems


def _rows_of_table(table: LabelTable, root: Path) -> _Found:
    rows = []
    for cells in table.rows:
        image, path = _locate(cells.image, root)
        rows.append(Row(image, path, cells.labels, cells.split, cells.group, cells.line))
    problems = [Problem("error", kind, f"line {line}", message) for kind, line, message in table.malformed]
    problems += [Problem("warning", "layout", table.path.name, hint) for hint in table.hints]
    return _Found(rows, table.task, table.layout, problems, table.labels)


def _locate(given: str, root: Path) -> tuple[str, Path]:
    """Image id and path of a table's cell; a missing suffix is completed where exactly one image file fits."""
    path = Path(os.path.normpath(root / given))
    if not path.exists():
        if "\\" in given and (windows := Path(os.path.normpath(root / given.replace("\\", "/")))).exists():
            path = windows
        elif not path.name.lower().endswith(IMAGE_SUFFIXES):
            fitting = [whole for suffix in IMAGE_SUFFIXES if (whole := Path(f"{path}{suffix}")).exists()]
            path = fitting[0] if len(fitting) == 1 else path
    image = path.relative_to(root) if path.is_relative_to(root) else path
    return image.as_posix(), path


def _settle_duplicates(rows: Sequence[Row]) -> tuple[tuple[Row, ...], list[Problem]]:
    """Rows sorted by image id, the first of each image kept, and a problem for every further one."""
    first: dict[str, Row] = {}
    problems: list[Problem] = []
    for row in rows:
        kept = first.setdefault(row.image, row)
        if kept is row:
            continue
        if dataclasses.replace(row, line=kept.line) == kept:
            message = f"the same image is listed in line {kept.line} already; this row is left out"
            problems.append(Problem("warning", "duplicate_row", row.where, message))
        else:
            message = f"line {kept.line} lists the same image with another label, split or group; keep one of the two"
            problems.append(Problem("error", "duplicate_row", row.where, message))
    return tuple(first[image] for image in sorted(first)), problems


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}{'es' if noun.endswith('s') else 's'}"
