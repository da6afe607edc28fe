"""What a server can be asked."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import quote

import httpx

from tuner.client import events
from tuner.client.answers import (
    WAITING,
    Backbone,
    Curve,
    DataSet,
    Health,
    Logs,
    Me,
    Queued,
    Search,
    Space,
    Trial,
)
from tuner.client.connection import Connection
from tuner.client.packing import packed
from tuner.client.refusals import MissingError, UnreachableError

_LOOK_SECONDS = 1.0
_RESTS_SECONDS = (0.5, 2.0)
"""before a submission is sent again"""
_PROVING_SECONDS = 600.0
"""until a plan or a check is given up: data are read, and weights downloaded"""


class Client:
    """A server, as one user. Every call may raise UserError: the server refuses, or does not answer.

    Args:
        url: of `tuner serve`, such as http://127.0.0.1:8420
        token: what `tuner token create` printed there; None: it asks for none
        http: what to ask with, in tests
    """

    def __init__(self, url: str, token: str | None = None, http: httpx.Client | None = None) -> None:
        self._server = Connection(url, token, http)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._server.close()

    @property
    def url(self) -> str:
        return self._server.url

    def me(self) -> Me:
        return Me.model_validate(self._server.data("GET", "/v1/me"))

    def searches(
        self, states: Sequence[str] = (), owner: str | None = None, space: str | None = None
    ) -> Iterator[Search]:
        """Those in any of these states (none: all but deleted ones), newest first."""
        for found in self._server.pages("/v1/searches", state=list(states), owner=owner, space=space):
            yield Search.model_validate(found)

    def search(self, name: str) -> Search:
        return Search.model_validate(self._server.data("GET", _search(name)))

    def submit(self, submission: Mapping[str, Any], key: str | None = None) -> Search:
        """Have a search run. Asked again with the same key, as this does when no answer came, it is the same one.

        Args:
            submission: as docs/api.md has it: space or space_yaml, data, and more
            key: default: a new one
        """
        headers = {"Idempotency-Key": key or uuid.uuid4().hex}
        for rest_seconds in (*_RESTS_SECONDS, None):
            try:
                found = self._server.data("POST", "/v1/searches", json=dict(submission), headers=headers)
                break
            except UnreachableError:
                if rest_seconds is None:
                    raise
                time.sleep(rest_seconds)
        return Search.model_validate(found)

    def stop(self, name: str) -> Search:
        return self._act(name, "stop")

    def resume(self, name: str, **limits: Any) -> Search:
        """`limits`: hours, gpu_hours, disk_gib, accept_changes."""
        return self._act(name, "resume", limits)

    def extend(self, name: str, **more: Any) -> Search:
        """`more`: trials, epochs, top, space or space_yaml, and limits as of `resume`."""
        return self._act(name, "extend", more)

    def delete(self, name: str) -> Search:
        """Have a search stopped and its files removed, days later; until then `restore` has it back."""
        return Search.model_validate(self._server.data("DELETE", _search(name)))

    def restore(self, name: str) -> Search:
        return self._act(name, "restore")

    def plan(self, submission: Mapping[str, Any]) -> Any:
        """What a search would take, as `tuner plan --json` has it; nothing is run."""
        return self._server.data("POST", "/v1/plan", json=dict(submission), seconds=_PROVING_SECONDS)

    def check(self, submission: Mapping[str, Any]) -> Any:
        """What is wrong with a search, as `tuner check --json` has it; nothing is run."""
        return self._server.data("POST", "/v1/check", json=dict(submission), seconds=_PROVING_SECONDS)

    def queue(self) -> list[Queued]:
        """The searches that wait, the next one first."""
        return [Queued.model_validate(found) for found in self._server.pages("/v1/queue")]

    def trials(self, name: str) -> Iterator[Trial]:
        for found in self._server.pages(f"{_search(name)}/trials"):
            yield Trial.model_validate(found)

    def trial(self, name: str, id: str) -> dict[str, Any]:
        """As `tuner show NAME TRIAL --json` has it."""
        return dict(self._server.data("GET", f"{_search(name)}/trials/{_part(id)}"))

    def curve(self, name: str, id: str) -> Curve:
        return Curve.model_validate(self._server.data("GET", f"{_search(name)}/trials/{_part(id)}/curve"))

    def leaderboard(self, name: str, format: Literal["md", "csv", "json"] = "md", top: int | None = None) -> str:
        """As `tuner leaderboard NAME` prints it."""
        query = {"format": format} | ({} if top is None else {"top": top})
        return self._server.ask("GET", f"{_search(name)}/leaderboard", params=query).text

    def best_yaml(self, name: str) -> str:
        return self._server.ask("GET", f"{_search(name)}/best.yaml").text

    def report_html(self, name: str) -> str:
        """The whole search on one page."""
        return self._server.ask("GET", f"{_search(name)}/report.html").text

    def conclusions(self, name: str) -> str:
        """What it led to, in Markdown."""
        return self._server.ask("GET", f"{_search(name)}/conclusions.md").text

    def spaces(self) -> list[Space]:
        """The shipped ones."""
        return [Space.model_validate(found) for found in self._server.pages("/v1/spaces")]

    def space(self, name: str) -> Space:
        return Space.model_validate(self._server.data("GET", f"/v1/spaces/{quote(name)}"))

    def backbones(self) -> list[Backbone]:
        return [Backbone.model_validate(found) for found in self._server.pages("/v1/backbones")]

    def health(self) -> Health:
        """Whether searches that are submitted now would be begun."""
        return Health.model_validate(self._server.data("GET", "/readyz"))

    def data_sets(self) -> Iterator[DataSet]:
        for found in self._server.pages("/v1/data"):
            yield DataSet.model_validate(found)

    def data_set(self, name: str) -> DataSet:
        return DataSet.model_validate(self._server.data("GET", f"/v1/data/{_part(name)}"))

    def register(self, name: str, path: str, reading: Mapping[str, Any] | None = None) -> DataSet:
        """Give a folder of the server's machine a name; it is inspected there, which takes a while.

        Args:
            reading: as docs/data.md has it: layout, label_column, split, ...
        """
        return self._register({"name": name, "path": path, "reading": dict(reading or {})})

    def upload(self, name: str, data: Path, reading: Mapping[str, Any] | None = None) -> DataSet:
        """Give the server a copy of a folder, or of an archive, and wait until it has been inspected.

        What was refused before under this name is replaced.
        """
        with packed(data) as archive, archive.open("rb") as file:
            if self._is_unfinished(name):
                self.delete_data_set(name)
            self._register({"name": name, "reading": dict(reading or {})})
            path, headers = f"/v1/data/{_part(name)}/archive", {"Content-Type": "application/octet-stream"}
            self._server.ask("POST", path, content=file, headers=headers, seconds=_PROVING_SECONDS)
        while (found := self.data_set(name)).state == "inspecting":
            time.sleep(_LOOK_SECONDS)
        return found

    def _is_unfinished(self, name: str) -> bool:
        try:
            found = self.data_set(name)
        except MissingError:
            return False
        return found.is_upload and found.state in ("empty", "refused")

    def delete_data_set(self, name: str) -> None:
        self._server.ask("DELETE", f"/v1/data/{_part(name)}")

    def _register(self, body: Mapping[str, Any]) -> DataSet:
        return DataSet.model_validate(self._server.data("POST", "/v1/data", json=dict(body)))

    def events(self, name: str, after: int = 0, *, follow: bool = True) -> Iterator[events.Event]:
        """What a search's log tells beyond an event's number, each once and in order.

        `follow` goes on without end, through lost connections and servers that are started again, and also tells of
        the search's states; without it, this ends with what the log has now.
        """
        path = f"{_search(name)}/events"
        return (events.follow if follow else events.told_so_far)(self._server, path, after)

    def logs(self, name: str, after: int = 0) -> Logs:
        """A part of what a search's process has printed, beyond so many bytes."""
        return Logs.model_validate(self._server.data("GET", f"{_search(name)}/logs", params={"after": after}))

    def printed(self, name: str, after: int = 0) -> Iterator[str]:
        """What a search's process prints, beyond so many bytes, as it does, until the search is through."""
        lost_at: float | None = None
        while True:
            try:
                waits = self.search(name).state in WAITING  # asked first: what is printed last is read after the end
                part = self.logs(name, after)
            except UnreachableError:
                lost_at = lost_at or time.monotonic()
                if time.monotonic() - lost_at > events.PATIENCE_SECONDS:
                    raise
                time.sleep(_LOOK_SECONDS)
                continue
            lost_at, after = None, part.next
            yield part.text
            if not part.text and not waits:
                return
            if not part.text:
                time.sleep(_LOOK_SECONDS)

    def _act(self, name: str, verb: str, body: Mapping[str, Any] | None = None) -> Search:
        given = {} if body is None else {"json": {field: value for field, value in body.items() if value is not None}}
        return Search.model_validate(self._server.data("POST", f"{_search(name)}/{verb}", **given))


def _search(name: str) -> str:
    """A search's address."""
    return f"/v1/searches/{_part(name)}"


def _part(name: str) -> str:
    """A name as one part of an address, whatever it has: one that somebody mistypes leads to nothing else."""
    return quote(name, safe="")
