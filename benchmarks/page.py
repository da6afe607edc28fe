"""What writing report.html anew costs a search that runs, beside the tables that are written with it.

    python -m benchmarks.page [--trials 20 100 300]

A search of so many trials of ten epochs whose log is written by hand, on 600 pictures of 500 x 375 with predictions of
its best trial. The first page reads pictures; later ones have them.
"""

from __future__ import annotations

import csv
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from benchmarks.comparing import as_text, facts, parser, publish, scratch_folder
from benchmarks.noop_search import report_of
from benchmarks.pictures import PictureSet, make_pictures
from trainable.data.splits import SplitRow, write_splits
from tuner.evidence.gathering import Gatherer
from tuner.report.best import write_outputs
from tuner.report.page import thumbnails
from tuner.report.page.writing import write_page
from tuner.store import Store

EPOCHS = 10
TIMES = 9
"""pages after the first"""
HEADERS = ("trials", "first page, CPU ms", "later pages, CPU ms", "tables, CPU ms", "page, kB")


def tell_search(folder: Path, pictures: PictureSet, trials: int) -> Store:
    """A search that runs, with this many trials that have ended."""
    store = Store.create(folder, f"of{trials}")
    with pictures.table.open(newline="") as file:
        rows = [
            SplitRow(row["image"], row["split"], "", row["image"], tuple(row["labels"].split(";")))
            for row in csv.DictReader(file)
        ]
    labels = sorted({label for row in rows for label in row.labels})
    write_splits(store.splits, rows)
    store.append(
        "search_started",
        name=store.name,
        task="multilabel",
        labels=labels,
        axes=["optimizer.lr", "head.kind"],
        objective={"metric": "f2_macro", "direction": "maximize"},
        data={"root": str(pictures.folder), "sizes": {"train": pictures.train, "val": pictures.val}},
    )
    for number in range(trials):
        _tell_trial(store, number)
    store.predictions("t0001").parent.mkdir()
    val = [row for row in rows if row.split == "val"]
    targets = np.array([[label in row.labels for label in labels] for row in val], dtype=np.float32)
    logits = np.random.default_rng(0).normal(targets * 2 - 1, 1).astype(np.float32)
    np.savez(
        store.predictions(store.record().best.id),
        ids=[row.image for row in val],
        labels=labels,
        targets=targets,
        logits=logits,
    )  # type: ignore[union-attr]  # all have ended
    return store


def _tell_trial(store: Store, number: int) -> None:
    trial, lr = f"t{number + 1:04}", 1e-5 * 1.02**number
    params = {"optimizer.lr": lr, "head.kind": ("linear", "mlp")[number % 2]}
    config = {"backbone": "lite0", "freeze": "all", "optimizer": {"lr": lr}, "head": {"kind": params["head.kind"]}}
    store.append("trial_started", trial, number=number, config=config, params=params, baseline=number == 0)
    for epoch in range(1, EPOCHS + 1):
        store.append("epoch", trial, **asdict(report_of(epoch, EPOCHS, 0.5 + lr)))
    store.append("trial_ended", trial, status="complete")


def measure_page(store: Store) -> list[float]:
    """CPU milliseconds of the first page, of a later one and of the tables, and the page's size in kB."""
    thumbnails._thumbnail.cache_clear()
    search, gatherer = store.record(), Gatherer(store)
    evidence = gatherer.evidence(search)
    first = _cpu_milliseconds(lambda: write_page(store, search, evidence))
    later = [_cpu_milliseconds(lambda: write_page(store, search, evidence)) for _ in range(TIMES)]
    tables = [_cpu_milliseconds(lambda: write_outputs(store, search, 3, evidence)) for _ in range(TIMES)]
    return [first, statistics.median(later), statistics.median(tables), store.report_html.stat().st_size / 1000]


def _cpu_milliseconds(write: Callable[[], object]) -> float:
    began = time.thread_time()
    write()
    return 1000 * (time.thread_time() - began)


def main() -> None:
    options = parser(__doc__.splitlines()[0], rounds=1)
    options.add_argument("--trials", type=int, nargs="+", default=[20, 100, 300])
    given = options.parse_args()
    rows = []
    with scratch_folder(given.scratch) as scratch:
        pictures = PictureSet(scratch / "pictures", 480, 120)
        make_pictures(pictures)
        for trials in given.trials:
            numbers = measure_page(tell_search(scratch / "results", pictures, trials))
            rows.append([str(trials), *(f"{number:.0f}" for number in numbers)])
    made = facts(f"python -m benchmarks.page {' '.join(sys.argv[1:])}", given.rounds)
    publish(given.out, made, {"A page of a search that runs": as_text(rows, HEADERS)}, {})


if __name__ == "__main__":
    main()
