"""Whether val and test are like train."""

from __future__ import annotations

import numpy as np
from small_sets import manifest_of

from trainable.data.drift import Drift, drift_problems, find_drift
from trainable.data.looks import Looks
from trainable.data.manifest import Manifest
from trainable.data.prepared import Scan, Scanned

IMAGES = 600
Rng = np.random.Generator


def sets(groups: dict[str, str] | None = None, without_y: str = "") -> tuple[Manifest, dict[str, str], Rng]:
    """Images dealt by lot to train, val and test; every third has a second label, but for those of one split."""
    rng = np.random.default_rng(5)
    names = [f"{number:03}" for number in range(IMAGES)]
    splits = dict(zip(names, rng.choice(["train", "val", "test"], IMAGES).tolist(), strict=True))
    has_y = {name for name in names if int(name) % 3 == 0 and splits[name] != without_y}
    manifest = manifest_of({name: ("x", "y") if name in has_y else ("x",) for name in names}, groups=groups)
    return manifest, splits, rng


def scan_of(manifest: Manifest, widths: np.ndarray, mode: str = "RGB") -> Scan:
    found = zip(manifest.rows, widths.tolist(), strict=True)
    return Scan("key", {row.image: Scanned(row.image, round(width), 100, mode, None) for row, width in found})


def looks_of(brightness: np.ndarray) -> Looks:
    cells = np.repeat(brightness[:, None], 256, axis=1).astype(np.float32)
    return Looks(cells, np.zeros((len(cells), 48), np.float32), np.full(len(cells), 60, np.float32))


def test_images_dealt_by_lot_do_not_drift() -> None:
    manifest, splits, rng = sets()
    scan, looks = scan_of(manifest, rng.normal(300, 50, IMAGES)), looks_of(rng.normal(120, 30, IMAGES))
    assert find_drift(manifest, scan, splits, looks) == []


def test_a_split_of_other_sizes_and_another_brightness_drifts() -> None:
    manifest, splits, rng = sets()
    is_test = np.array([splits[row.image] == "test" for row in manifest.rows])
    scan = scan_of(manifest, rng.normal(300, 20, IMAGES) + 30 * is_test)
    found = find_drift(manifest, scan, splits, looks_of(rng.normal(120, 20, IMAGES) + 25 * is_test))
    assert [(drift.what, drift.split) for drift in found] == [
        ("pixels", "test"),
        ("aspect", "test"),
        ("brightness", "test"),
    ]
    assert found[0].there > found[0].train > 29_000
    assert all(drift.p_value < 1e-5 and drift.kind == "median" for drift in found)


def test_labels_and_modes_of_other_shares_drift() -> None:
    manifest, splits, _ = sets(without_y="val")
    (drift,) = find_drift(manifest, scan_of(manifest, np.full(IMAGES, 100.0)), splits)
    assert (drift.what, drift.split, drift.kind, drift.there) == ("label y", "val", "share", 0.0)
    assert 0.2 < drift.train == drift.distance < 0.5
    grey = {
        row.image: Scanned(row.image, 9, 9, "L" if splits[row.image] == "test" else "RGB", None)
        for row in manifest.rows
    }
    assert ("mode RGB", "test") in [
        (found.what, found.split) for found in find_drift(manifest, Scan("key", grey), splits)
    ]


def test_many_images_of_few_groups_are_no_evidence() -> None:
    """Groups stay whole, so that their images say no more than one of each does."""
    groups = {f"{number:03}": f"g{number // 60}" for number in range(IMAGES)}
    manifest, _, _ = sets(groups)
    splits = {row.image: ("train", "val")[int(row.image) // 60 % 2] for row in manifest.rows}
    widths = np.array([100.0 + 50 * (splits[row.image] == "val") for row in manifest.rows])
    assert find_drift(manifest, scan_of(manifest, widths), splits) == []


def test_unreadable_images_and_missing_splits_are_left_out() -> None:
    manifest, splits, _ = sets()
    broken = Scan("key", {row.image: Scanned(None, 0, 0, "", "missing") for row in manifest.rows})
    assert find_drift(manifest, broken, splits) == []
    assert find_drift(manifest, scan_of(manifest, np.full(IMAGES, 9.0)), dict.fromkeys(splits, "train")) == []


def test_a_problem_gives_both_values() -> None:
    drift = Drift("brightness", "val", "median", 0.5, 0.25, 0.4, 1e-9, 12)
    (problem,) = drift_problems([drift])
    assert (problem.severity, problem.kind, problem.row) == ("warning", "drift", "val")
    assert problem.message.startswith("brightness: median 0.5 in train, 0.25 in val (p = 1e-09)")
