"""Drivers that do what a test says, on the real folders of searches, and a Ray that is there when a test says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from tuner.service.engine.drivers.launcher import Handle
from tuner.service.engine.ray_there import Cluster
from tuner.store import Store


@dataclass
class FakeRay:
    """Of so many CPUs and GPUs."""

    cluster: Cluster | None = field(default_factory=lambda: Cluster("first", "127.0.0.1:1", 4.0, 0.0))
    restarts: int = 0

    def look(self, now: datetime) -> Cluster | None:  # noqa: ARG002
        return self.cluster

    @property
    def problem(self) -> str:
        return "" if self.cluster else "Ray is being started"

    def close(self) -> None:
        self.cluster = None


@dataclass
class FakeDrivers:
    """Outlives engines, as real drivers do; nothing happens in it but what a test says."""

    results: Path
    started: list[tuple[str, list[str]]] = field(default_factory=list)
    """key and arguments"""
    signals: list[tuple[str, str]] = field(default_factory=list)
    """key, and TERM or KILL"""
    alive: dict[int, str] = field(default_factory=dict)
    """number -> key"""
    outputs: dict[str, Path] = field(default_factory=dict)
    codes: dict[int, int] = field(default_factory=dict)

    def start(self, key: str, arguments: Sequence[str], output: Path) -> Handle:
        assert key not in self.alive.values(), "a second driver of a search"
        self.started.append((key, list(arguments)))
        number = len(self.started)
        self.alive[number] = key
        self.outputs[key] = output
        return {"number": number}

    def find(self, key: str) -> Handle | None:
        return next(({"number": number} for number, known in self.alive.items() if known == key), None)

    def lives(self, handle: Handle) -> bool:
        return handle.get("number") in self.alive

    def exit_code(self, handle: Handle) -> int | None:
        return self.codes.get(handle.get("number", 0))

    def terminate(self, handle: Handle) -> None:
        self.signals.append((self.alive[handle["number"]], "TERM"))

    def kill(self, handle: Handle) -> None:
        self.signals.append((self.alive[handle["number"]], "KILL"))

    def store_of(self, key: str) -> Store:
        arguments = next(arguments for known, arguments in self.started if known == key)
        name = next(one.removeprefix("--name=") for one in arguments if one.startswith("--name="))
        return Store(self.results / name)

    def begin(self, key: str) -> Store:
        """The search's log says that it runs."""
        store = self.store_of(key)
        if store.home.exists():
            store.append("search_resumed")
        else:
            Store.create(self.results, store.name)
            store.search_yaml.write_text("{}")
            store.append("search_started", granted={})
        return store

    def tell(self, key: str, kind: str, trial: str | None = None, **fields: Any) -> None:
        self.store_of(key).append(kind, trial, **fields)

    def end(self, key: str, status: str, reason: str = "", code: int | None = 0, **fields: Any) -> None:
        """The search's log says that it has ended, and so does its process."""
        self.tell(key, "search_ended", status=status, reason=reason, **fields)
        self.die(key, code)

    def die(self, key: str, code: int | None = -9, printed: str = "") -> None:
        """The process is gone."""
        number = next(number for number, known in self.alive.items() if known == key)
        del self.alive[number]
        if code is not None:
            self.codes[number] = code
        if printed:
            self.outputs[key].parent.mkdir(parents=True, exist_ok=True)
            with self.outputs[key].open("a") as output:
                output.write(printed)
