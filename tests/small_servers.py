"""`tuner serve` in a process of its own, with a tiny data set, a Ray of its own and all that these start."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import psutil
from ruamel.yaml import YAML
from small_searches import ROOT, tiny_space, write_labels_csv

from tuner.service.access.accounts import create_token
from tuner.service.database.connection import open_database
from tuner.service.database.rows import DataSetRow
from tuner.service.ids import new_id

DATA = "tinted"
_DONE = ("complete", "failed", "stopped")


@dataclass
class SmallServer:
    """A server of the searches in a folder, which may be started again and again."""

    folder: Path
    """with a short path"""
    cpus: int = 2
    process: subprocess.Popen[str] | None = None
    url: str = ""
    started: dict[int, psutil.Process] = field(default_factory=dict)
    """servers, and all that they have started"""
    headers: dict[str, str] = field(default_factory=dict)
    """of who asks, where nobody else is named"""

    @property
    def results(self) -> Path:
        return self.folder / "results"

    @property
    def state(self) -> Path:
        return self.results / ".service"

    def start(self) -> None:
        """Have it answer."""
        (self.state / "server.json").unlink(missing_ok=True)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "TUNE_"))}
        options = ("--results", self.results, "--port", 0, "--cpus", self.cpus, "--gpus", 0)
        with (self.folder / "server.log").open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tuner.cli", "serve", *map(str, options)],
                cwd=ROOT,
                env=inherited,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        told = self.state / "server.json"
        self.wait(lambda: told.exists() and self._answers(told), "the server answers")
        self.url = json.loads(told.read_text())["url"]

    def _answers(self, told: Path) -> bool:
        try:
            return httpx.get(json.loads(told.read_text())["url"] + "/healthz", timeout=5).status_code == 200
        except (httpx.HTTPError, ValueError):
            return False

    def register_data(self) -> None:
        """Have a few small images registered."""
        data = write_labels_csv(self.folder / "data")
        database = open_database(f"sqlite:///{self.state}/service.db")
        with database.session() as session:
            row = {"path": str(data), "reading": {}, "state": "ready", "created_at": datetime.now(UTC)}
            session.add(DataSetRow(id=new_id(), name=DATA, **row))
        database.close()

    def user(self, name: str) -> dict[str, str]:
        """Headers of a new user, who may submit; from now on the server asks everybody for a token."""
        database = open_database(f"sqlite:///{self.state}/service.db")
        with database.session() as session:
            _, text = create_token(session, name, "submit", datetime.now(UTC))
        database.close()
        self.headers = {"Authorization": f"Bearer {text}"}
        return self.headers

    def submit(self, name: str, trials: int, epochs: int = 2, **asked: Any) -> None:
        space = {"space_yaml": space_yaml(epochs), "data": DATA, "tracking": "off", "offline": True}
        self.ask("POST", "/v1/searches", json={"name": name, "budget": {"trials": trials}, **space}, **asked)

    def ask(self, method: str, path: str, **given: Any) -> Any:
        """What the API answers. Raises httpx.HTTPStatusError where it refuses."""
        answer = httpx.request(method, self.url + path, timeout=30, **{"headers": self.headers, **given})
        answer.raise_for_status()
        return answer.json()

    def search(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("GET", f"/v1/searches/{name}")
        return found

    def events(self, name: str) -> list[dict[str, Any]]:
        log = self.results / name / "events.jsonl"
        lines = log.read_text().splitlines(keepends=True) if log.exists() else []
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def count(self, name: str, *kinds: str) -> int:
        return sum(event["kind"] in kinds for event in self.events(name))

    def wait(self, condition: Callable[[], object], what: str, seconds: float = 240) -> None:
        until = time.monotonic() + seconds
        while not condition():
            self.watch()
            assert self.process is not None
            told = (self.folder / "server.log").read_text()[-3000:]
            assert self.process.poll() is None, f"the server has ended: {told}"
            assert time.monotonic() < until, f"it never came that {what}: {told}"
            time.sleep(0.2)

    def wait_for(self, name: str, count: int, *kinds: str) -> None:
        """Wait until a search's log has so many events of these kinds."""

        def has_come() -> bool:
            found = self.search(name)
            assert found["state"] != "failed", found["reason"]
            assert not found["has_changed"], found["reason"]
            return self.count(name, *kinds) >= count

        self.wait(has_come, f"{name} has told {count} times of {' or '.join(kinds)}")

    def wait_until_done(self, name: str) -> str:
        """How it has ended."""
        self.wait(lambda: self.search(name)["state"] in _DONE, f"{name} is done")
        return str(self.search(name)["state"])

    def watch(self) -> None:
        """Note the processes that there are by now."""
        for process in psutil.process_iter():  # parents mostly come before what they have started
            with suppress(psutil.Error):
                if process.pid not in self.started and (self._is_ours(process) or process.ppid() in self.started):
                    self.started[process.pid] = process

    def _is_ours(self, process: psutil.Process) -> bool:
        line = _line(process)
        return str(self.folder) in line or (self.process is not None and process.pid == self.process.pid)

    @contextmanager
    def held_up(self, number: int) -> Iterator[None]:
        """A process that does nothing meanwhile."""
        os.kill(number, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(number, signal.SIGCONT)

    def driver(self, name: str) -> int:
        """The number of the process that works on a search."""
        ours = [process for process in psutil.process_iter() if self._is_ours(process)]  # others have servers too
        (found,) = [process for process in ours if f" --name={name} " in f"{_line(process)} "] or [
            process for process in ours if _line(process).endswith(f" -- {name}")
        ]
        return found.pid

    def ray(self) -> int:
        """The number of the process that looks after its Ray."""
        return int(json.loads((self.state / "ray" / "facts.json").read_text())["process"]["number"])

    def kill(self, number: int) -> None:
        self.watch()
        os.kill(number, signal.SIGKILL)
        if self.process is not None and number == self.process.pid:
            self.process.wait()

    def stop(self, seconds: float = 120) -> int:
        """SIGTERM; its exit code."""
        assert self.process is not None
        self.watch()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def left_over(self, seconds: float = 120) -> list[str]:
        """Processes that outlive it; the agents of a Ray that was killed take a while to find that out."""
        until = time.monotonic() + seconds
        while True:
            left = [line for process in self.started.values() if process.is_running() and (line := _line(process))]
            if not left or time.monotonic() > until:
                return left
            time.sleep(0.2)

    def end(self) -> None:
        """Kill all that is left of it."""
        self.watch()
        for process in self.started.values():
            with suppress(psutil.Error):
                if process.is_running() and _line(process):
                    process.kill()
        if self.process is not None:
            self.process.wait()


@contextmanager
def small_server(cpus: int = 2) -> Iterator[SmallServer]:
    """One that answers and has data; nothing of it is left."""
    folder = Path(tempfile.mkdtemp(prefix="srv"))  # sockets need short paths
    made = SmallServer(folder, cpus)
    try:
        made.start()
        made.register_data()
        yield made
    finally:
        made.end()
        shutil.rmtree(folder, ignore_errors=True)


def space_yaml(epochs: int = 2) -> str:
    """A tiny space, as people type it in."""
    text = StringIO()
    YAML(typ="safe").dump(tiny_space(fixed={**tiny_space()["fixed"], "epochs": epochs}), text)
    return text.getvalue()


def _line(process: psutil.Process) -> str:
    """A process's command line; empty for one that has ended."""
    try:
        return "" if process.status() == psutil.STATUS_ZOMBIE else " ".join(process.cmdline())
    except psutil.Error:
        return ""
