"""When a search stops because its trials fail alike."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_searches import MakeSpace, RunTuner

from trainable.train import train_trial
from tuner.interruption import Interruption
from tuner.ray_backend import worker
from tuner.same_failures import SameFailures, failed_alike, kind_of_error
from tuner.store import Store


def ended(trial: str, error: str | None, status: str = "failed") -> dict[str, Any]:
    return {"kind": "trial_ended", "trial": trial, "status": status, "error": error}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("FileNotFoundError: /data/a/001.png", "FileNotFoundError: /data/b/17.png"),
        ("OSError: [Errno 5] 'x/y.npz'", "OSError: [Errno 5] 'x/z-2.npz'"),
        ("out of memory: tried to allocate 2.50 GiB", "out of memory: tried to allocate 1e-3 GiB"),
        ("checkpoints of t0004 are gone", "checkpoints of t0012 are gone"),
        ("bad address 0xdeadbeef", "bad address 0x12"),
    ],
)
def test_errors_are_alike_whatever_trial_file_or_number_they_name(one: str, other: str) -> None:
    assert kind_of_error(one) == kind_of_error(other)


def test_errors_of_two_kinds_are_told_apart() -> None:
    assert kind_of_error("KeyError: 'red'") != kind_of_error("KeyError: 'blue'")
    assert kind_of_error("OSError: /a/b") != kind_of_error("ValueError: /a/b")


@given(limit=st.integers(0, 6), failing=st.integers(1, 12))
def test_one_more_than_the_limit_stops_the_search(limit: int, failing: int) -> None:
    interrupted = Interruption()
    failures = SameFailures(limit, interrupted)
    names = [f"t{number:04}" for number in range(2, 2 + failing)]
    for number, trial in enumerate(names):
        failures.put(ended(trial, f"no space left in /tmp/{trial}: {number} GiB"))
        failures.put(ended(trial + "x", "something else of " + chr(97 + number)))
        assert interrupted.is_set() == (number + 1 > limit)
    if failing > limit:
        assert interrupted.failed
        assert [trial for trial in failures.alike if not trial.endswith("x")] == names
        assert interrupted.reason.startswith(
            f"{limit + 1} trials have failed with the same error: no space left in /tmp/"
        )


def test_the_baseline_is_enough() -> None:
    interrupted = Interruption()
    failures = SameFailures(5, interrupted)
    failures.put(ended("t0001", "the worker process died", status="lost"))
    assert (interrupted.failed, failures.alike) == (True, ["t0001"])
    assert interrupted.reason == "the baseline, which all is held against, has failed: the worker process died"


def test_other_ends_are_no_failures() -> None:
    interrupted = Interruption()
    failures = SameFailures(0, interrupted)
    for status, error in (("complete", None), ("pruned", "diverged"), ("paused", None), ("early_stopped", None)):
        failures.put(ended("t0001", error, status))
    failures.put({"kind": "epoch", "trial": "t0001"})
    assert not interrupted.is_set()


def test_whoever_stopped_the_search_first_is_its_reason() -> None:
    interrupted = Interruption()
    interrupted.interrupt("stopped by `tuner stop`")
    SameFailures(0, interrupted).put(ended("t0002", "no disk"))
    assert (interrupted.failed, interrupted.reason) == (False, "stopped by `tuner stop`")


def failing(trials: Collection[str]) -> Callable[..., Any]:
    """Training that fails for some trials."""

    def train(job: Any, *given: Any, **options: Any) -> Any:
        trial = job.files.predictions.stem
        if trial in trials:
            raise OSError(f"/mnt/images/{trial}.png: no such device")
        return train_trial(job, *given, **options)

    return train


def test_what_failed_alike_in_the_last_run_is_known_though_that_run_was_killed() -> None:
    alike = [ended(trial, "no disk") for trial in ("t0003", "t0004")]
    log = [{"kind": "search_started"}, *alike, {"kind": "search_resumed"}, *alike, ended("t0005", "no memory")]
    assert failed_alike(log, 1) == ["t0003", "t0004"]
    assert failed_alike(log, 2) == []
    assert failed_alike([*log, {"kind": "search_resumed"}], 1) == []


@pytest.mark.usefixtures("_without_ray")
@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize(
    ("broken", "statuses", "reason"),
    [
        (["t0001"], ["failed"], "the baseline, which all is held against, has failed: OSError: "),
        (["t0002", "t0003"], ["complete", "failed", "failed"], "2 trials have failed with the same error: OSError: "),
    ],
)
def test_a_search_that_failed_goes_on_once_it_is_repaired_with_those_that_had_failed(
    broken: list[str],
    statuses: list[str],
    killed: bool,
    reason: str,
    make_space: MakeSpace,
    labels_csv: Path,
    tmp_path: Path,
    run_tuner: RunTuner,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = ["--data", labels_csv, "--results", tmp_path, "--name", "broken", "--trials", 4, "--max-same-failures", 1]
    with monkeypatch.context() as patch:
        patch.setattr(worker, "train_trial", failing(broken))
        ran = run_tuner("search", make_space(), *given)
    assert ran.code == 1
    assert ran.err.startswith(f"error: {reason}")
    assert ran.err.endswith("; once that is repaired, `tuner resume broken` goes on\n")
    store = Store(tmp_path / "broken")
    search = store.record()
    assert (search.status, [trial.status for trial in search.trials]) == ("failed", statuses)
    assert search.reason.startswith(reason)
    if killed:  # before it could say how it ended
        lines = store.events_jsonl.read_bytes().splitlines(keepends=True)
        store.events_jsonl.write_bytes(b"".join(line for line in lines if b'"search_ended"' not in line))
    assert run_tuner("resume", "broken", "--results", tmp_path).code == 0
    search = store.record()
    assert (search.status, [trial.status for trial in search.trials]) == ("complete", ["complete"] * 4)
