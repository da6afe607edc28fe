"""A search on a small disk of its own, which is filled at random moments and freed again.

`python tests/full_disk.py FOLDER SEED` within a mount namespace; prints what came of each run, as JSON.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from small_searches import RunningSearch, start_resuming, start_search

DISK_MIB = 64
TIMES_FULL = 2
NAME = "small"


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


def main(folder: Path, seed: int) -> None:
    drawn, results = random.Random(seed), folder / "results"
    runs = []
    with mounted(results):
        ballast, search_folder = results / "ballast", results / NAME
        search = start_search(folder / "space.yaml", folder / "data" / "labels.csv", results, NAME, "--top", 1)
        for run in range(TIMES_FULL + 1):
            if run < TIMES_FULL:
                told = len(search.events())
                moment, left_bytes = told + drawn.randint(2, 12), drawn.choice([0, 4096, 100_000])
                _wait_for(search, moment)
                fill(ballast, left_bytes)
            ran = search.finish(seconds=60)
            ballast.unlink(missing_ok=True)
            runs.append({"code": ran.code, "err": ran.err, "log": (search_folder / "events.jsonl").read_text()})
            if ran.code == 0 and _is_complete(search):
                break
            search = start_resuming(search_folder)
        whole = {str(file.relative_to(results)): file.stat().st_size for file in results.rglob("*") if file.is_file()}
    json.dump({"runs": runs, "files": whole}, sys.stdout)


def _wait_for(search: RunningSearch, events: int) -> None:
    search.wait_for(lambda event: event["seq"] >= events)


def _is_complete(search: RunningSearch) -> bool:
    last = search.events()[-1]
    return last["kind"] == "search_ended" and last["status"] == "complete"


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
