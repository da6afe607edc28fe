"""How many planted label errors does `tuner inspect NAME` suspect, and how many of its suspicions were planted?

    python -m benchmarks.label_errors DATA [--share 0.06] [--only a,b,c] [--folds 4] [--seed 0]

DATA is a folder of classes, or a table of labels, such as those of benchmarks/datasets.py. A share of the images gets a
wrong class, or, of several labels, one too many or too few. Four heads on frozen lite0 and lite2 are searched with
folds, so that every image of train and validation is looked at. An error that nobody planted counts against precision
all the same: it is a lower bound.
"""

from __future__ import annotations

import argparse
import csv
import random
from pathlib import Path

from benchmarks.comparing import as_text, scratch_folder
from trainable.data.manifest import Manifest, Row, read_manifest
from tuner.evidence.suspected import SuspectedLabel, suspect_labels
from tuner.result import search

SPACE = """
version: 1
about: heads on frozen features
objective: average_precision_macro
sampler: random
scheduler: {kind: none}
budget: {trials: 4}
fixed: {image_size: 128, epochs: 9, batch_size: 32, optimizer.kind: adamw, batch_norm: frozen, freeze: all}
baseline: {backbone: lite0, head.kind: linear, optimizer.lr: 1.0e-3}
axes:
  backbone: {choice: [lite0, lite2]}
  optimizer.lr: {float: [1.0e-3, 1.0e-2], log: true}
  head.kind: {choice: [linear, mlp]}
"""
FIRST = (20, 50)

Error = tuple[str, str | None, str | None]
"""image, the label that is there wrongly, the label that is missing"""


def spoil(row: Row, manifest: Manifest, rng: random.Random) -> tuple[set[str], Error]:
    """Other labels for an image, and what is wrong with them."""
    own = set(row.labels)
    other = rng.choice([label for label in manifest.labels if label not in own])
    if manifest.task == "multiclass":
        return {other}, (str(row.path), other, row.labels[0])
    if len(own) > 1 and rng.random() < 0.5:
        dropped = rng.choice(sorted(own))
        return own - {dropped}, (str(row.path), None, dropped)
    return own | {other}, (str(row.path), other, None)


def write_spoilt(data: Path, only: set[str], share: float, rng: random.Random, table: Path) -> tuple[str, list[Error]]:
    """A table of the images with wrong labels among them; the task, and the errors."""
    manifest = read_manifest(data)
    labels = tuple(label for label in manifest.labels if not only or label in only)
    rows = [row for row in manifest.rows if set(row.labels) <= set(labels)]
    manifest = Manifest(manifest.root, tuple(rows), labels, manifest.task, manifest.layout, manifest.source)
    wrong = set(rng.sample(range(len(rows)), round(share * len(rows))))
    errors = []
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "labels", "group"])
        for place, row in enumerate(rows):
            own = set(row.labels)
            if place in wrong:
                own, error = spoil(row, manifest, rng)
                errors.append(error)
            writer.writerow([row.path, ";".join(sorted(own)), row.group or row.image])
    return manifest.task, errors


def is_planted(one: SuspectedLabel, errors: set[tuple[str, str | None]], root: Path) -> bool:
    return (str(root / one.image), one.given or one.suggested) in errors


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("data", type=Path)
    options.add_argument("--share", type=float, default=0.06)
    options.add_argument("--only", default="", help="labels, with commas between them")
    options.add_argument("--folds", type=int, default=4)
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args()
    rng = random.Random(given.seed)
    with scratch_folder(None) as scratch:
        table, space = scratch / "labels.csv", scratch / "heads.yaml"
        space.write_text(SPACE)
        task, errors = write_spoilt(given.data, set(filter(None, given.only.split(","))), given.share, rng, table)
        options_of_data = {"task": task, "label_column": "labels", "labels_separator": ";"}
        found = search(
            space,
            table,
            "spoilt",
            data_options=options_of_data,
            reruns={"folds": given.folds},
            resources={"workers": 1},
            results=scratch / "results",
        )
        record = found.store.record()
        suspicions = suspect_labels(found.store, record)
        held_out = {
            str(scratch / row["image"]) for row in csv.DictReader(found.store.splits.open()) if row["split"] != "test"
        }
        planted = {(image, there or missing) for image, there, missing in errors if image in held_out}
        hits = [is_planted(one, planted, scratch) for one in suspicions.labels]
        rows = [
            [what, str(len(part)), f"{sum(part) / max(len(part), 1):.2f}", f"{sum(part) / len(planted):.2f}"]
            for what, part in (*((f"first {n}", hits[:n]) for n in FIRST), ("all", hits))
        ]
        best = record.best
        print(
            f"{task}, {suspicions.images} images looked at, {len(planted)} errors planted among them, seed {given.seed}"
        )
        print(f"best trial: {best.best_metrics if best else None}")
        print(as_text(rows, ["suspicions", "n", "precision", "recall"]))


if __name__ == "__main__":
    main()
