"""optuna-dashboard on a search's study, while it runs or later: it is looked at, never changed, from this machine."""

from __future__ import annotations

import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy.exc import DatabaseError

from search_spaces.space import Space
from trainable.errors import UserError
from tuner.ray_backend.importance import stored_space
from tuner.ray_backend.study import StudyMirror, mirror, sqlite_url
from tuner.storage.place import is_url
from tuner.store import Store

HOST = "127.0.0.1"
INSTALL = "pip install 'thaw-tuner[dashboard]'"
HOSTS_HERE = (HOST, "localhost")
LOOK_SECONDS = 2.0
"""between two looks for more of a log that is followed"""

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@contextmanager
def study_of(store: Store) -> Iterator[Path]:
    """The file of a search's study: its study.db, or a copy made of its log, which follows it for as long as it runs.

    A study.db under a URL is as old as the latest run, and one that is gone may have been deleted.

    Raises:
        UserError: a copy is needed, and the search's space cannot be read.
    """
    if store.study_db.exists() and not is_url(store.place):
        yield store.study_db
        return
    with tempfile.TemporaryDirectory(prefix="thaw-study-") as folder:
        copy, space = Path(folder) / "study.db", stored_space(store)
        mirror(store.events(), sqlite_url(copy), space)
        done = threading.Event()
        following = threading.Thread(
            target=_follow, args=(store, copy, space, done), name="study-follower", daemon=True
        )
        following.start()
        try:
            yield copy
        finally:
            done.set()
            following.join()


def dashboard_server(study: Path, port: int) -> WSGIServer:
    """A server of optuna-dashboard on this machine's loopback; `serve_forever` runs it.

    Args:
        port: 0: any that is free

    Raises:
        UserError: optuna-dashboard is not installed, or the port is taken.
    """
    try:
        import optuna_dashboard
    except ImportError:
        raise UserError(f"`tuner dashboard` needs optuna-dashboard: {INSTALL}") from None
    try:
        app = optuna_dashboard.wsgi(RDBStorage(sqlite_url(study)))
    except (RuntimeError, StorageInternalError, DatabaseError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{study}: cannot be read ({reason}); delete it: the log has all of it") from None
    try:
        server = _Server((HOST, port), _Quiet)
    except OSError as error:
        raise UserError(f"--port {port}: {error.strerror}; give another, or 0 for any that is free") from None
    server.set_app(_guarded(app))
    return server


def _follow(store: Store, copy: Path, space: Space, done: threading.Event) -> None:
    """Mirror what is added to a search's log, by whoever runs it and whenever."""
    study, told, seen = StudyMirror(copy, space), 0, 0
    study.start()
    try:
        while not done.is_set():
            for seen, event in enumerate(store.events(), start=1):
                if seen > told:
                    study.put(event)
            told = seen
            done.wait(LOOK_SECONDS)
    except Exception as error:  # whatever it is, the page stays
        print(f"the dashboard is not kept up to date any more: {error}", file=sys.stderr)
    finally:
        study.close()


def _guarded(app: Wsgi) -> Wsgi:
    """Only looked at, and only under this machine's names: the app knows no password and could delete the study, and
    any web page can have a browser call it, under a name of its own that leads here."""

    def guarded(request: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if request["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return refuse("405 Method Not Allowed", "a study is not changed here", start_response)
        if request.get("HTTP_HOST", "").rpartition(":")[0] not in HOSTS_HERE:
            return refuse("403 Forbidden", f"use http://{HOST}", start_response)
        return app(request, start_response)

    def refuse(status: str, reason: str, start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = f'{{"reason": "{reason}"}}'.encode()
        start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    return guarded


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    allow_reuse_address = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *arguments: Any) -> None:
        """Requests are nothing to tell."""
