"""From a data path to a stored, inspected split with decoded images: all that is proved before anything trains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trainable.data.cache import cache_folder
from trainable.data.drift import find_drift
from trainable.data.duplicates import find_duplicates
from trainable.data.inspection import Inspection, drop_rare_labels, exclude, inspect
from trainable.data.looks import LOOK_SIZE, Looks, describe
from trainable.data.manifest import Manifest, Problem, read_manifest
from trainable.data.prepared import Scan, open_images, scan_images
from trainable.data.splits import SplitRow, data_hash, make_splits, parse_ratios, split_rows
from trainable.errors import UserError
from trainable.task import Task
from tuner.config import DEFAULT_SPLIT, DataConfig

SHOWN_ERRORS = 20


@dataclass(frozen=True)
class Examined:
    """Data as they are: read, scanned, cleaned as asked, split and inspected."""

    manifest: Manifest
    scan: Scan
    splits: dict[str, str]
    """image id -> train, val or test"""
    inspection: Inspection
    left_out: dict[str, str]
    """image or label -> why it takes no part"""
    strict: bool = False

    @property
    def stopping(self) -> tuple[Problem, ...]:
        """What keeps a search from beginning: errors, and warnings too where the data are to be strictly right."""
        return self.inspection.problems if self.strict else self.inspection.errors


@dataclass(frozen=True)
class PreparedData:
    """Data that may be trained on: nothing that inspection calls an error remains."""

    root: Path
    task: Task
    labels: tuple[str, ...]
    rows: tuple[SplitRow, ...]
    inspection: Inspection
    left_out: dict[str, str]

    @property
    def split_sizes(self) -> dict[str, int]:
        """Images of each split."""
        return dict(self.inspection.split_sizes)

    @property
    def hash(self) -> str:
        return data_hash(self.rows, self.labels, self.task)


def examine(config: DataConfig, sizes: Sequence[int] = ()) -> Examined:
    """Read every row and image, decoding them at `sizes` (pixels a side) into the cache in the same pass.

    Raises:
        UserError: data that cannot be read or split at all.
    """
    ratios = parse_ratios(config.split or DEFAULT_SPLIT)
    manifest = read_manifest(
        config.path,
        task=config.task,
        layout=config.layout,
        image_column=config.image_column,
        label_column=config.label_column,
        labels_separator=config.labels_separator,
    )
    paths = {row.image: row.path for row in manifest.rows}
    scan = scan_images(paths, (*sizes, LOOK_SIZE), cache_folder())
    left_out: dict[str, str] = {}
    if config.skip_unreadable:
        left_out |= scan.unreadable
        manifest = exclude(manifest, set(scan.unreadable))
    if config.drop_rare_labels:
        manifest, dropped = drop_rare_labels(manifest, config.drop_rare_labels)
        left_out |= {label: f"label with {count} positives" for label, count in dropped.items()}
    splits = make_splits(manifest, ratios, config.data_seed)
    looks, readable = _looks(manifest, scan)
    duplicates = find_duplicates(manifest, readable, looks, splits)
    drift = find_drift(manifest, scan, splits, looks)
    inspection = inspect(manifest, scan, splits, duplicates, drift)
    return Examined(manifest, scan, splits, inspection, left_out, config.strict_data)


def _looks(manifest: Manifest, scan: Scan) -> tuple[Looks | None, dict[str, str]]:
    """What the readable images look like, in the manifest's order, and their sha256s by image id."""
    shas = scan.sha256s
    readable = {row.image: shas[row.image] for row in manifest.rows if scan.images[row.image].error is None}
    prepared = open_images(readable.values(), LOOK_SIZE, cache_folder()) if readable else None
    if prepared is None:  # nothing can be read, or another process has just dropped it
        return None, readable
    with prepared:
        return describe(prepared.array[[prepared.positions[sha] for sha in readable.values()]]), readable


def prepare(examined: Examined) -> PreparedData:
    """What a search may train on.

    Raises:
        UserError: what is wrong with the data, a line each, up to twenty.
    """
    manifest, inspection = examined.manifest, examined.inspection
    errors = [
        f"{problem.row}: {problem.message}" + (" (--strict-data)" if problem.severity == "warning" else "")
        for problem in examined.stopping
    ]
    if errors:
        more = len(errors) - SHOWN_ERRORS
        rest = [f"and {more} more; `tuner inspect {manifest.source}` lists all"] if more > 0 else []
        raise UserError(*errors[:SHOWN_ERRORS], *rest)
    rows = split_rows(manifest, examined.splits, examined.scan.sha256s)
    return PreparedData(manifest.root, manifest.task, manifest.labels, rows, inspection, examined.left_out)
