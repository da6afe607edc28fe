"""Small labelled data sets and spaces on disk, and searches in processes of their own."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from PIL import Image
from ruamel.yaml import YAML
from small_data import tinted_images
from small_trials import TINY

from tuner import cli
from tuner.interruption import Interruption
from tuner.storage.homes import home_at
from tuner.storage.place import Place, beneath

IMAGES = 40
"""With 70/15/15, 28 train, 6 val, 6 test."""
LABELS = ("red", "green", "blue")

MakeSpace = Callable[..., Path]


@dataclass(frozen=True)
class Ran:
    """What came of a command."""

    code: int
    out: str
    err: str


RunTuner = Callable[..., Ran]

ROOT = Path(__file__).parent.parent


def tuner_in_process(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> RunTuner:
    """run("ls", "--json"): the command in this process."""

    def run(*arguments: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["tuner", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        code = ended.value.code
        return Ran(code if isinstance(code, int) else 0, captured.out, captured.err)

    return run


@dataclass
class RunningSearch:
    """`tuner search` in a process of its own, at the head of a group as under a terminal, and all that it starts."""

    process: subprocess.Popen[str]
    folder: Path
    """of the search"""
    started: dict[int, psutil.Process] = field(default_factory=dict)

    def events(self) -> list[dict[str, Any]]:
        log = self.folder / "events.jsonl"
        lines = log.read_text().splitlines(keepends=True) if log.exists() else []
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def watch(self) -> None:
        """Note the processes that have been started so far."""
        try:
            for child in psutil.Process(self.process.pid).children(recursive=True):
                self.started.setdefault(child.pid, child)
        except psutil.NoSuchProcess:
            pass

    def wait_for(self, wanted: Callable[[dict[str, Any]], bool], seconds: float = 120) -> dict[str, Any]:
        """The first event that is wanted."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and self.process.poll() is None:
            self.watch()
            if found := next((event for event in self.events() if wanted(event)), None):
                return found
            time.sleep(0.05)
        raise AssertionError(f"no such event; stderr: {self.process.communicate(timeout=60)[1]}")

    def finish(self, seconds: float = 180) -> Ran:
        """What came of it."""
        until = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < until:
            self.watch()
            time.sleep(0.2)
        out, err = self.process.communicate(timeout=10)
        return Ran(self.process.returncode, out, err)

    def workers(self) -> list[psutil.Process]:
        """Its actors that train."""
        self.watch()
        return [process for process in self.started.values() if _name(process).startswith("ray::TrialActor")]

    def raylet(self) -> psutil.Process:
        """The process of its own Ray's node."""
        self.watch()
        (found,) = [process for process in self.started.values() if _name(process).split(" ")[0].endswith("/raylet")]
        return found

    def left_over(self, seconds: float = 10) -> list[str]:
        """Its processes, and others that are named after its folder or its Ray session, that outlive it."""
        until = time.monotonic() + seconds
        while True:
            own = [process for process in self.started.values() if process.is_running() and _name(process)]
            marks = (str(self.folder), f"_{self.process.pid}/")
            named = [process for process in psutil.process_iter() if any(mark in _name(process) for mark in marks)]
            left = [f"{process.pid} {_name(process)}" for process in (*own, *named)]
            if not left or time.monotonic() > until:
                return left
            time.sleep(0.2)


def start_search(
    space: Path, data: Path, results: Place, name: str, *options: object, **environment: str
) -> RunningSearch:
    """`tuner search` on its way; stdout and stderr are no terminals."""
    where = ("--data", data, "--results", results, "--name", name)
    return _start(beneath(results, name), "search", space, *where, *options, **environment)


def start_resuming(place: Place, *options: object) -> RunningSearch:
    """`tuner resume` of a search, likewise."""
    return _start(place, "resume", place, *options)


def start_extending(place: Place, *options: object) -> RunningSearch:
    """`tuner extend` of a search, likewise."""
    return _start(place, "extend", place, *options)


def _start(place: Place, *arguments: object, **environment: str) -> RunningSearch:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "TUNE_"))}
    process = subprocess.Popen(
        [sys.executable, "-m", "tuner.cli", *map(str, arguments)],
        cwd=ROOT,
        env=inherited | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    return RunningSearch(process, home_at(place).folder)


def _name(process: psutil.Process) -> str:
    """A process's command line; empty for one that has ended."""
    try:
        return "" if process.status() == psutil.STATUS_ZOMBIE else " ".join(process.cmdline())
    except psutil.Error:
        return ""


def write_labels_csv(folder: Path, images: int = IMAGES, size: int = 32) -> Path:
    """folder/labels.csv, multi-label, with its images beside it."""
    (folder / "images").mkdir(parents=True)
    pixels, tinted = tinted_images(images, size)
    lines = ["image,labels"]
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(folder / "images" / f"{number:03}.png")
        names = [label for label, is_tinted in zip(LABELS, tinted[number], strict=True) if is_tinted]
        lines.append(f"images/{number:03}.png,{';'.join(names)}")
    table = folder / "labels.csv"
    table.write_text("\n".join(lines) + "\n")
    return table


def write_class_folders(folder: Path, images: int = IMAGES, size: int = 32) -> Path:
    """folder/dark and folder/red, a folder per class."""
    pixels, tinted = tinted_images(images, size)
    for number, image in enumerate(pixels):
        of_class = folder / ("red" if tinted[number, 0] else "dark")
        of_class.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(of_class / f"{number:03}.png")
    return folder


def tiny_space(**sections: Any) -> dict[str, Any]:
    """A space of a tiny random backbone, two epochs a trial; `sections` replace, and None removes."""
    space: dict[str, Any] = {
        "version": 1,
        "about": "tiny",
        "objective": "f2_macro",
        "sampler": "random",
        "scheduler": "none",
        "fixed": {"backbone": TINY, "pretrained": False, "image_size": 32, "epochs": 2, "batch_size": 12},
        "baseline": {"freeze": 2, "optimizer.lr": 1e-3},
        "axes": {
            "optimizer.lr": {"float": [1e-4, 1e-2], "log": True},
            "freeze": {"choice": [0, 2, "all"]},
            "head.kind": {"choice": ["linear", "mlp"]},
        },
    }
    merged = space | sections
    return {name: section for name, section in merged.items() if section is not None}


def write_space(path: Path, space: Mapping[str, Any]) -> Path:
    with path.open("w") as file:
        YAML(typ="safe").dump(dict(space), file)
    return path


def search_without_ray(patch: pytest.MonkeyPatch) -> None:
    """From now on searches run their trials one after another in this process."""
    from tuner.ray_backend import session, slots, tune_loop, vigil
    from tuner.ray_backend.phase import Phase, Phases
    from tuner.ray_backend.worker import TrialActor
    from tuner.report import plots

    def run_phases(
        phases: Iterable[Phase],
        slots: object,  # noqa: ARG001
        folder: Path,  # noqa: ARG001
        interrupted: Interruption,
        note: object,  # noqa: ARG001
    ) -> None:
        actor, following = object.__new__(TrialActor), Phases(iter(phases))
        while not interrupted.is_set() and (asked := following.ask()) is not None:
            actor.reset_config(asked.plain | {"resources": {"cpu": 1, "gpu": 0}, "more_gpu_gib": 0.0})
            _run_to_its_end(actor, following.current, asked.trial, interrupted)

    patch.setattr(session, "ray_session", contextlib.nullcontext)
    no_slots = SimpleNamespace(gpus=0.0, workers=1, gpus_of=lambda _: 0.0, keep_to=lambda _: None)
    patch.setattr(slots, "Slots", lambda *_: no_slots)
    patch.setattr(tune_loop, "run_phases", run_phases)
    patch.setattr(vigil, "watching_ray", lambda *_: contextlib.nullcontext())
    patch.setattr(plots, "draw_plots", lambda *_: [])  # they take longer than the trials


def _run_to_its_end(actor: Any, driver: Any, trial: str, interrupted: Interruption) -> None:
    while True:
        if interrupted.is_set():
            actor.cleanup()
            driver.end(trial, "paused")
            return
        result = actor.step()
        if "short_of_memory" in result:
            driver.short_of_memory(trial, **json.loads(result["short_of_memory"]))
            continue
        if "hold" in result:
            interrupted.hold(json.loads(result["hold"]))
            driver.end(trial, "paused")
            return
        if "ended" in result:
            ending = json.loads(result["ended"])
            driver.end(trial, ending.pop("status"), ending.pop("error"), **ending)
            return
        report = json.loads(result["report"])
        if driver.report(trial, report):
            status = report["status"]
            driver.end(trial, status if status != "running" else driver.stopped_early(trial))
            return
