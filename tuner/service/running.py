"""A server from its start to its end: database, Ray, engine, web; and in the other order."""

from __future__ import annotations

import json
import logging
import os
import resource
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from types import FrameType

import uvicorn

from trainable.errors import UserError
from tuner.mounts import is_shared
from tuner.processes import process_id
from tuner.service.access.accounts import any_token
from tuner.service.api.app import make_app
from tuner.service.database.connection import Database, open_database
from tuner.service.engine.drivers.local import LocalDrivers
from tuner.service.engine.drivers.ray_job import RayJobs
from tuner.service.engine.engine import Engine
from tuner.service.engine.kept_ray import KeptRay
from tuner.service.engine.ledger import Ledger
from tuner.service.engine.server_lease import BEAT_SECONDS, ServerLease, take_lease
from tuner.service.errors import LostLeaseError
from tuner.service.services import open_services
from tuner.service.settings import ServiceSettings
from tuner.storage.results_folder import require_results
from tuner.store import write_atomically

STEP_SECONDS = 1.0
STREAMS_END_SECONDS = 2
"""that clients who listen have to leave; uvicorn would wait for them for ever"""
_OPEN_FILES = 65_536
_ANSWERS = "server.json"
"""in the state folder: where the server answers"""

_log = logging.getLogger(__name__)


def serve(settings: ServiceSettings, tell: Callable[[str], None]) -> None:
    """Run a server until SIGTERM or Ctrl-C; drivers and the server's own Ray end in order before it does.

    A second signal ends it at once: what runs then goes on, and the next server finds it.

    Args:
        tell: gives people a line

    Raises:
        UserError: results, database, host or port cannot be used, or another server uses the database.
        LostLeaseError: another server has taken over the database; what runs is that one's.
    """
    require_results(settings.results)
    _allow_open_files()
    with ExitStack() as left:
        database = open_migrated(settings)
        left.callback(database.close)
        _require_tokens(settings, database)
        listening = left.enter_context(_listening(settings))
        settings.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        lease = take_lease(database, _now())
        left.callback(lambda: lease.give_back(_now()))
        ray = KeptRay(settings.state / "ray", settings.address, _options(settings))
        launcher = RayJobs(settings.jobs) if settings.jobs else LocalDrivers(environment=ray.environment)
        engine = Engine(Ledger(database, settings), launcher, ray)
        app = make_app(open_services(settings, database, engine))
        config = uvicorn.Config(
            app,
            timeout_graceful_shutdown=STREAMS_END_SECONDS,
            server_header=False,
            log_level="warning",
        )
        server = uvicorn.Server(config)
        host, port = listening.getsockname()[:2]
        url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        known = process_id(os.getpid())
        answers = settings.state / _ANSWERS
        write_atomically(answers, json.dumps({"url": url, "process": known.plain if known else {}}))
        left.callback(lambda: answers.unlink(missing_ok=True))
        with _engine_room(engine, lease, server) as lost, _first_signal_is_no_end():
            tell(f"searches of {settings.results} at {url} (Ctrl-C stops them in order, and this server)")
            server.run(sockets=[listening])
        if lost.is_set():
            raise LostLeaseError("another server has taken over this database; what runs is that one's")
        _leave(engine, ray, tell)


def open_migrated(settings: ServiceSettings) -> Database:
    """The database with today's tables.

    Raises:
        UserError: as `open_database` and `Database.migrate`; SQLite on a file system of several machines.
    """
    url = settings.database_url
    if url.startswith("sqlite:///"):
        folder = settings.state if settings.state.as_posix() in url else None
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if is_shared(folder):
                raise UserError(
                    f"--state {folder}: other machines mount it as well, where SQLite loses what is written; give a "
                    "folder of this machine, or --database postgresql://..."
                )
    database = open_database(url)
    database.migrate()
    return database


def _leave(engine: Engine, ray: KeptRay, tell: Callable[[str], None]) -> None:
    """Stop drivers in order, then Ray. Raises KeyboardInterrupt at a further signal, with all that still runs left."""
    engine.leave()
    drivers = engine.step(_now())
    if drivers:
        searches = "1 search" if drivers == 1 else f"{drivers} searches"
        tell(f"stopping {searches}; Ctrl-C again leaves what runs to the next server")
    while drivers:
        time.sleep(STEP_SECONDS / 4)
        drivers = engine.step(_now())
    ray.close()
    waiting = [queued.name for queued in engine.queue()]
    tell(f"stopped; the next `tuner serve` goes on with {', '.join(waiting)}" if waiting else "stopped")


@contextmanager
def _engine_room(engine: Engine, lease: ServerLease, server: uvicorn.Server) -> Iterator[threading.Event]:
    """Have the engine step, and say that this server is there, in threads; gives whether another one is instead."""
    done, lost = threading.Event(), threading.Event()

    def beat() -> None:
        while not done.wait(BEAT_SECONDS):
            try:
                lease.beat(_now())
            except LostLeaseError:
                lost.set()
                server.should_exit = True
                return
            except Exception:  # a database that does not answer for once
                _log.exception("the server's lease")

    def step() -> None:
        while not lost.is_set():
            try:
                engine.step(_now())
            except Exception:  # one step's mistake is no reason to leave all searches alone
                _log.exception("the engine's step")
            if done.wait(STEP_SECONDS):
                return

    threads = [threading.Thread(target=work, name=work.__name__, daemon=True) for work in (beat, step)]
    for thread in threads:
        thread.start()
    try:
        yield lost
    finally:
        done.set()
        for thread in threads:
            thread.join()


@contextmanager
def _first_signal_is_no_end() -> Iterator[None]:
    """uvicorn sends the signals that have ended it again: they are what this server ends by, in order."""

    def is_known(number: int, frame: FrameType | None) -> None:
        """The first one; whoever signals again is heard as usual."""

    before = {number: signal.signal(number, is_known) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number in before:
            signal.signal(number, signal.default_int_handler)


@contextmanager
def _listening(settings: ServiceSettings) -> Iterator[socket.socket]:
    """Raises UserError where that address cannot be listened at."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # of TCP by name: on other sockets asyncio leaves Nagle's algorithm on, and each answer waits 40 ms for the client
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((settings.host, settings.port))
        except OSError as error:
            told = error.strerror or str(error)
            raise UserError(
                f"--host {settings.host} --port {settings.port}: cannot be listened at ({told}); give another --port, "
                "or 0 for any that is free"
            ) from None
        yield listening


def _require_tokens(settings: ServiceSettings, database: Database) -> None:
    """Raises UserError where anybody could reach a server that asks nobody who they are."""
    if settings.is_on_loopback:
        return
    with database.reading() as session:
        if not any_token(session):
            raise UserError(
                f"--host {settings.host}: whoever reaches it could run searches; make a token first, by "
                "`tuner token create NAME --scope admin`, or serve on 127.0.0.1"
            )


def _allow_open_files() -> None:
    """As many as this process may have: each who listens holds one, and shells mostly give 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _options(settings: ServiceSettings) -> dict[str, float]:
    given = {"num_cpus": settings.cpus, "num_gpus": settings.gpus}
    return {name: value for name, value in given.items() if value is not None}


def _now() -> datetime:
    return datetime.now(UTC)
