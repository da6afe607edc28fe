"""A search on a small disk of its own, which is filled at random moments and freed again.

`python tests/full_disk.py FOLDER SEED` within a mount namespace; prints what came of it, as JSON.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from small_searches import search_without_ray, tiny_space, write_labels_csv, write_space

from tuner.config import SearchConfig, parse_options
from tuner.interruption import SearchFailedError
from tuner.records import SearchRecord
from tuner.run import resume_search, run_search
from tuner.store import Event, Store

DISK_MIB = 64
TIMES_FULL = 2


@contextmanager
def mounted(place: Path) -> Iterator[None]:
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", place], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def fill(ballast: Path, left_bytes: int) -> None:
    """Take all room but so many bytes."""
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1 << 16))
        except OSError:
            file.truncate(max(0, file.tell() - left_bytes))


class Filler:
    """Fills the disk at an event of a search."""

    def __init__(self, ballast: Path, event: int, left_bytes: int) -> None:
        self._ballast = ballast
        self._events_left = event
        self._left_bytes = left_bytes

    def hear(self, event: Event) -> None:  # noqa: ARG002
        self._events_left -= 1
        if self._events_left == 0:
            fill(self._ballast, self._left_bytes)


def told(search: SearchRecord) -> dict[str, Any]:
    return {
        trial.id: (trial.status, [(epoch.epoch, epoch.value) for epoch in trial.epochs], dict(trial.test))
        for trial in search.trials
    }


def disturbed(config: SearchConfig, ballast: Path, drawn: random.Random) -> list[dict[str, Any]]:
    """What came of each run."""
    store, runs = Store(Path(config.results) / config.name), []
    for run in range(TIMES_FULL + 1):
        moment = drawn.randint(2, 12) if run < TIMES_FULL else 0
        filler, error = Filler(ballast, moment, drawn.choice([0, 4096, 100_000])), ""
        try:
            resume_search(store, filler.hear) if run else run_search(config, filler.hear)
        except (SearchFailedError, OSError) as stopped:
            error = f"{type(stopped).__name__}: {stopped}"
        ballast.unlink(missing_ok=True)
        record = store.record()
        finished = {trial.id: trial.best_value for trial in record.trials if trial.eligible}
        runs.append({"error": error, "status": record.status, "reason": record.reason, "finished": finished})
        runs[-1] |= {"warnings": store.warnings, "statuses": sorted({trial.status for trial in record.trials})}
    return runs


def main(folder: Path, seed: int) -> dict[str, Any]:
    axes = {"head.kind": {"choice": ["linear", "mlp"]}, "optimizer.lr": {"choice": [1e-3, 3e-3, 1e-2]}}
    space = write_space(folder / "space.yaml", tiny_space(axes=axes, sampler="grid", baseline={"freeze": 2}))
    data = write_labels_csv(folder / "data")
    search_without_ray(pytest.MonkeyPatch())

    def config(results: Path) -> SearchConfig:
        given: dict[str, Any] = {"name": "new", "space": str(space), "data": {"path": data}, "results": results}
        return parse_options(SearchConfig, top_k=1, **given)

    whole, small = folder / "whole", folder / "small"
    undisturbed = told(run_search(config(whole)).record())
    with mounted(small):
        runs = disturbed(config(small), small / "ballast", random.Random(seed))
        files = [str(file.relative_to(small / "new")) for file in (small / "new").rglob("*") if file.is_file()]
        return {"runs": runs, "same": told(Store(small / "new").record()) == undisturbed, "files": files}


if __name__ == "__main__":
    with redirect_stdout(sys.stderr):
        found = main(Path(sys.argv[1]), int(sys.argv[2]))
    print(json.dumps(found))
