"""Requests to a server, whose refusals are mistakes for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from tuner.client.logins import server_url
from tuner.client.refusals import refusal, unreachable

_CONNECT_SECONDS, _ANSWER_SECONDS = 5.0, 60.0
SILENT_SECONDS = 50.0
"""after which a stream of events is taken for dead: it has a heartbeat every 15 seconds"""


def new_http() -> httpx.Client:
    """What asks, with a patience of its own."""
    return httpx.Client(timeout=httpx.Timeout(_ANSWER_SECONDS, connect=_CONNECT_SECONDS))


class Connection:
    """One server, as one user."""

    def __init__(self, url: str, token: str | None = None, http: httpx.Client | None = None) -> None:
        self.url = server_url(url)
        self._http = http or new_http()
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def close(self) -> None:
        self._http.close()

    def ask(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        seconds: float | None = None,
        **more: Any,
    ) -> httpx.Response:
        """An answer that is no refusal.

        Args:
            seconds: until it is given up, where it takes longer than others
            more: as `httpx.Client.request` has them: params, json, content, files

        Raises:
            UserError: it was refused, or no server answers.
        """
        more |= {} if seconds is None else {"timeout": seconds}
        try:
            response = self._http.request(method, self._at(path), headers=self._headers | dict(headers or {}), **more)
        except httpx.TransportError as error:
            raise unreachable(self.url, error) from None
        if response.is_error:
            raise refusal(self.url, response)
        return response

    def data(self, method: str, path: str, **more: Any) -> Any:
        """The JSON of an answer; raises as `ask`."""
        return self.ask(method, path, **more).json()

    def pages(self, path: str, **query: Any) -> Iterator[Any]:
        """The items of a list that comes in pages, asked for as they are needed; raises as `ask`."""
        cursor: str | None = None
        while True:
            page = self.data("GET", path, params=_given(query | {"cursor": cursor}))
            yield from page["items"]
            cursor = page.get("next_cursor")
            if cursor is None:
                return

    @contextmanager
    def stream(self, path: str, headers: Mapping[str, str], **query: Any) -> Iterator[httpx.Response]:
        """An answer whose body is read as it comes.

        Raises:
            UserError: it was refused.
            httpx.TransportError: no server answers, or no longer.
        """
        timeout = httpx.Timeout(_CONNECT_SECONDS, read=SILENT_SECONDS)
        with self._http.stream(
            "GET", self._at(path), params=_given(query), headers=self._headers | dict(headers), timeout=timeout
        ) as response:
            if response.is_error:
                response.read()
                raise refusal(self.url, response)
            yield response

    def _at(self, path: str) -> str:
        return f"{self.url}{path}"


def _given(query: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in query.items() if value is not None}
