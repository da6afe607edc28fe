"""The process that a tracker lives in; following.py starts it and speaks to it.

It tells on stdout, in one line, whether what the tracker sends to answers. The first line on stdin is the search's
place: from then on it shows what the log tells. The line `finish` asks for what is left, however long that takes. The
end of stdin is the end of the search's process, however that came: what cannot be shown in time stays for another one.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path

from filelock import FileLock

from tuner.links import FOLDER
from tuner.store import Store
from tuner.tracking.protocol import TrackerKind, UnreachableError
from tuner.tracking.showing import Showing
from tuner.tracking.trackers import TRACKERS

PATIENCE_SECONDS = 15.0
"""that it has after the end of stdin"""
FINISH = "finish"
NOT_ALL_SHOWN = 1
_NICENESS = 10
"""trials go first"""


def main(name: str) -> int:
    """Be the process of this tracker. Returns its exit code."""
    os.nice(_NICENESS)
    kind = TRACKERS[name]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    print(json.dumps(_answer(kind)), file=answers, flush=True)
    place = sys.stdin.readline().strip()
    if not place:
        return 0
    store = Store(place)
    folder = store.folder / FOLDER
    folder.mkdir(exist_ok=True)
    _print_to(folder / f"{name}.log")
    ending = threading.Event()
    threading.Thread(target=_heed_stdin, args=(ending, kind), daemon=True).start()
    with FileLock(folder / f".{name}.lock"):  # the tracker of a search that was killed may still be at work
        for unfinished in folder.glob(f".{name}.json.*.tmp"):  # by one that was killed too
            unfinished.unlink(missing_ok=True)
        return 0 if Showing(store, kind, ending).run() else NOT_ALL_SHOWN


def _answer(kind: TrackerKind) -> dict[str, object]:
    try:
        return {"reachable": True, "told": kind.reach()}
    except UnreachableError as error:
        return {"reachable": False, "told": str(error)}


def _print_to(file: Path) -> None:
    """Have what is printed from now on in a file."""
    log = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)


def _heed_stdin(ending: threading.Event, kind: TrackerKind) -> None:
    if sys.stdin.readline().strip() == FINISH:
        ending.set()
        sys.stdin.read()
    ending.set()
    until = time.monotonic() + PATIENCE_SECONDS
    try:
        kind.reach()
    except UnreachableError:  # a call may be at it that would go on until there is an answer
        os._exit(NOT_ALL_SHOWN)
    time.sleep(max(0.0, until - time.monotonic()))
    os._exit(NOT_ALL_SHOWN)


if __name__ == "__main__":
    code = main(sys.argv[1])
    sys.stdout.flush()
    os._exit(code)  # no library's thread keeps it
