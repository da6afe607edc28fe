"""What a running search shows, on a terminal and elsewhere."""

from __future__ import annotations

import io
import re
import threading
import time
from typing import Any

import pytest

from tuner.live import SHOWN_ROWS, _LiveTable, duration, live_progress
from tuner.store import Event


def started(trials: int) -> Event:
    return {
        "kind": "search_started",
        "name": "flowers",
        "space": "quick",
        "task": "multilabel",
        "objective": {"metric": "f2_macro", "direction": "maximize"},
        "trials": trials,
        "labels": ["a", "b"],
        "data": {"sizes": {"train": 10, "val": 5}},
    }


def trial(number: int, status: str | None = "complete", value: float | None = 0.5, **fields: Any) -> list[Event]:
    """A trial of one epoch; without a status it still runs, without a value it has no epoch."""
    id = f"t{number:04}"
    config = {"backbone": "lite0", "freeze": "all", "head": {"kind": "mlp", "width": 64}, "epochs": 3}
    config["schedule"] = {"kind": "cosine", "min_lr": 0.0}
    events: list[Event] = [
        {
            "kind": "trial_started",
            "trial": id,
            "number": number - 1,
            "config": config,
            "freeze_blocks": 9,
            "total_blocks": 9,
        }
    ]
    if value is not None:
        epoch = {"epoch": 1, "value": value, "best_value": value, "best_epoch": 1, "seconds": 65.0}
        events.append({"kind": "epoch", "trial": id, **epoch})
    if status:
        events.append({"kind": "trial_ended", "trial": id, "status": status, "error": None, **fields})
    return events


ENDED: Event = {"kind": "search_ended", "status": "complete", "reason": ""}


def plain(events: list[Event]) -> list[str]:
    out = io.StringIO()
    with live_progress(out) as progress:
        for second, event in enumerate(events):
            progress.hear({"time": f"2026-11-23T10:00:{second:02}Z", **event})
    return out.getvalue().splitlines()


def test_a_rerun_has_its_line_too() -> None:
    again = {"of": "t0001", "kind": "repeat", "seed": 1, "data_seed": 0}
    rerun = [{**event, "trial": "t0001-r1"} for event in trial(2)]
    rerun[0]["rerun"] = again
    *_, line, last = plain([started(1), *trial(1), *rerun, ENDED])
    assert line.startswith("t0001-r1 complete 0.500 (")
    assert "1/1 trials, 1 complete, best f2_macro 0.500 (t0001), 1 of 1 reruns begun are done" in line
    assert last == "search complete"


def test_a_plain_line_a_trial() -> None:
    events = [started(3), *trial(1), *trial(2, "pruned", 0.25), *trial(3, "failed", None, error="no disk"), ENDED]
    first, *trials, last = plain(events)
    assert first == (
        "search flowers: up to 3 trials of quick, maximize f2_macro; multilabel, 2 labels; images: train 10, val 5"
    )
    assert trials[0].startswith(
        "t0001 complete 0.500 (lite0, freeze all (9/9), mlp 64) 1 epoch in 65 s | 1/3 trials, 1 complete, "
        "best f2_macro 0.500 (t0001), about "
    )
    assert trials[0].endswith(" left")
    assert trials[1].startswith("t0002 pruned 0.250 (")
    assert trials[2].startswith(
        "t0003 failed - (lite0, freeze all (9/9), mlp 64) 0 epochs in 0 s: no disk | 3/3 trials"
    )
    assert trials[2].endswith("1 complete, 1 failed, 1 pruned, best f2_macro 0.500 (t0001)")
    assert last == "search complete"


def test_plain_lines_are_few() -> None:
    events = [started(10)]
    for number in range(1, 11):
        events += trial(number)
    assert len(plain([*events, ENDED])) == 12


def test_the_reason_of_an_end_is_told() -> None:
    assert plain([started(1), {"kind": "search_ended", "status": "stopped", "reason": "interrupted"}])[-1] == (
        "search stopped (interrupted)"
    )


class ClosedPipe(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError(text)


def test_a_search_goes_on_when_nobody_reads() -> None:
    with live_progress(ClosedPipe()) as progress:
        for event in (started(1), *trial(1), ENDED):
            progress.hear(event)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("trials", [0, 1, 300])
def test_a_terminal_gets_a_table(trials: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "160")
    out = Terminal()
    with live_progress(out) as progress:
        progress.hear(started(trials + 1))
        for number in range(1, trials + 1):
            for event in trial(number, value=number / 1000):
                progress.hear(event)
        for event in trial(trials + 1, status=None):
            progress.hear(event)
    last = out.getvalue().rpartition("flowers: f2_macro")[2]
    assert f"{trials}/{trials + 1} trials" in last
    assert f"t{trials + 1:04}" in last
    assert len(set(re.findall(r"t\d{4}", last))) == min(trials + 1, SHOWN_ROWS)
    if trials:
        assert f"t{trials:04}" in last  # the best


def test_a_table_before_the_first_event() -> None:
    assert _LiveTable().render()


def test_a_table_is_drawn_while_events_come_in() -> None:
    watched = _LiveTable()
    watched.hear(started(200))
    failures: list[BaseException] = []
    until = threading.Event()

    def draw() -> None:
        try:
            while not until.is_set():
                watched.render()
        except BaseException as error:
            failures.append(error)

    drawing = threading.Thread(target=draw)
    drawing.start()
    for number in range(1, 200):
        for event in trial(number):
            watched.hear(event)
        time.sleep(0)
    until.set()
    drawing.join()
    assert failures == []


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "0 s"),
        (42.4, "42 s"),
        (99.4, "99 s"),
        (100, "2 min"),
        (3540, "59 min"),
        (3600, "1 h 00 min"),
        (3899, "1 h 05 min"),
    ],
)
def test_durations(seconds: float, told: str) -> None:
    assert duration(seconds) == told


def test_warnings_of_the_data_are_told_in_few_lines() -> None:
    event = started(10)
    event["data"] = {**event["data"], "warnings": ["a.png: looks like b.png", "c.png: looks like d.png"]}
    lines = plain([event])
    assert lines[1:] == ["warning: a.png: looks like b.png", "warning: and 1 more; `tuner inspect` lists all"]


def test_the_line_says_how_much_was_shared() -> None:
    events = trial(1)
    events[1]["features"] = {"hits": 96, "misses": 4, "bytes": 2**20}
    *_, line, _ = plain([started(1), *events, ENDED])
    assert line.endswith("best f2_macro 0.500 (t0001), features: 96 % shared, 1 MiB")
