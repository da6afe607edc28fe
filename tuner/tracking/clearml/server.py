"""A ClearML server's API, through the session of ClearML's own SDK: configured, signed in and encrypted as its users
expect.

Every call returns within a minute, and what it returns from is done there. The SDK's tasks and loggers promise neither:
their calls repeat for ever while a server does not answer, and what their threads cannot send is dropped.
https://clear.ml/docs/latest/docs/references/api/
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import requests
from clearml import StorageManager
from clearml.backend_api import Session
from clearml.backend_api.session.defs import MissingConfigError
from clearml.backend_api.session.session import LoginError
from clearml.backend_interface.base import InterfaceBase
from clearml.config import config_obj

from tuner.tolerant import integer, mapping, text
from tuner.tracking.protocol import UnreachableError

EVENTS_AT_ONCE = 2000
_RETRIES = {"total": 3, "connect": 0, "read": 0, "redirect": 3, "status": 0, "backoff_factor": 0.2}
"""within a call: who shows a search comes again with all of it"""
_SIGN_IN_AGAIN = (401, 403)
_BUSY = (408, 429)
_CONNECT_SECONDS, _ANSWER_SECONDS = 4.0, 30.0


class RefusedError(Exception):
    """The server understood a request and does not do it, as for a task that is no longer there."""


class _Session(Session):
    """One whose requests end."""

    _session_initial_timeout = (_CONNECT_SECONDS, 5.0)
    _session_timeout = (_CONNECT_SECONDS, _ANSWER_SECONDS)
    _write_session_timeout = (_CONNECT_SECONDS, _ANSWER_SECONDS)


class Server:
    """A server, signed in to.

    Raises:
        UnreachableError: it is not configured, does not answer or does not know the credentials.
    """

    def __init__(self) -> None:
        try:
            self._session = _Session(http_retries_config=dict(_RETRIES))
        except MissingConfigError:
            raise UnreachableError("it is configured without credentials; `clearml-init` asks for them") from None
        except (requests.RequestException, LoginError, ValueError) as error:
            raise UnreachableError(_reason(error)) from None
        InterfaceBase._set_default_session(self._session)  # uploading has one that repeats its requests for ever
        if self._session._offline_mode:
            raise UnreachableError("CLEARML_OFFLINE_MODE is on")
        self.web = str(Session.get_app_server_host())
        """where people look"""
        self._pages = "tasks" if Session.check_min_api_server_version("2.31") else "experiments"

    def ask(self, endpoint: str, **fields: Any) -> Mapping[str, Any]:
        """One request, such as `tasks.create`; fields that are None are left out. Returns its `data`.

        Raises:
            UnreachableError, RefusedError
        """
        service, action = endpoint.split(".")
        given = {name: value for name, value in fields.items() if value is not None}
        try:
            response = self._session.send_request(
                service, action, version=Session.api_version, method="post", json=given
            )
        except (requests.RequestException, LoginError, ValueError) as error:
            raise UnreachableError(_reason(error)) from None
        return _data_of(endpoint, response)

    def add_events(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Add scalars and plots; those of the same task, title, series and iteration are replaced.

        Raises:
            UnreachableError, RefusedError
        """
        for start in range(0, len(events), EVENTS_AT_ONCE):
            some = list(events[start : start + EVENTS_AT_ONCE])
            try:
                responses = self._session.send_request_batch(
                    "events", "add_batch", version=Session.api_version, method="post", json=some
                )
            except (requests.RequestException, LoginError, ValueError) as error:
                raise UnreachableError(_reason(error)) from None
            for response in responses:
                told = _data_of("events.add_batch", response)
                if integer(told.get("errors")):
                    raise RefusedError(f"events.add_batch: {json.dumps(told.get('errors_info'))}")

    def upload(self, file: Path, name: str) -> str:
        """Put a file where this installation keeps artifacts; returns its address.

        Args:
            name: with slashes, beneath that place

        Raises:
            UnreachableError: the file could not be put there.
            FileNotFoundError: there is none.
        """
        base = text(config_obj.get("sdk.development.default_output_uri", "")) or str(Session.get_files_server_host())
        if base.startswith(("http://", "https://")):
            try:  # uploading to one that does not answer takes a minute
                requests.get(base, timeout=(_CONNECT_SECONDS, _ANSWER_SECONDS)).close()
            except requests.exceptions.SSLError:  # whom to trust, the SDK knows
                pass
            except requests.RequestException:
                raise UnreachableError(f"the file server {base} does not answer") from None
        try:
            uploaded = StorageManager.upload_file(str(file), f"{base.rstrip('/')}/{name}", retries=1)
        except FileNotFoundError:
            raise
        except Exception as error:  # those of the store's own library, whichever it is
            raise UnreachableError(f"{base}: {_reason(error)}") from None
        if not uploaded:
            raise UnreachableError(f"{base}: {file.name} could not be uploaded")
        return str(uploaded)

    def page(self, project: str, task: str) -> str:
        """A task's page."""
        return f"{self.web}/projects/{project}/{self._pages}/{task}/output/log"

    def comparing(self, project: str) -> str:
        """The page that compares tasks, as `Links.compare`."""
        return f"{self.web}/projects/{project}/compare-{self._pages};ids={{ids}}/scalars/graph"


def _data_of(endpoint: str, response: requests.Response) -> Mapping[str, Any]:
    try:
        told = mapping(response.json())
    except ValueError:
        raise UnreachableError(f"{endpoint}: {response.status_code}, and no JSON") from None
    meta = mapping(told.get("meta"))
    code = integer(meta.get("result_code")) or response.status_code
    if code == 200:
        return mapping(told.get("data"))
    message = f"{endpoint}: {code}, {text(meta.get('result_msg')) or 'no reason'}"
    if 400 <= code < 500 and code not in (*_SIGN_IN_AGAIN, *_BUSY):
        raise RefusedError(message)
    raise UnreachableError(message)


def _reason(error: Exception) -> str:
    """Why the server could not be asked; the SDK puts what went wrong with a connection into a text."""
    told = str(error).strip()
    if isinstance(error, requests.RequestException) or "requests.exceptions" in told:
        return f"{Session.get_api_server_host()} does not answer"
    return told.splitlines()[0] if told else type(error).__name__
