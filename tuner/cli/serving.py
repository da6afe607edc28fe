"""The service: searches over HTTP and on a page."""

import sys
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trainable.errors import UserError
from tuner.cli.app import EXIT_FAILED, EXIT_INTERRUPTED, app
from tuner.cli.options import DEFAULT_RESULTS, Address, Results

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.orm import Session

    from tuner.service.settings import ServiceSettings

DATABASE_FILE = "service.db"
_NEEDED = ("alembic", "fastapi", "itsdangerous", "prometheus_client", "sqlalchemy", "uvicorn")
"""of the extra `service`"""
State = Annotated[
    Path | None,
    typer.Option("--state", help="folder of this machine for what the server keeps; default: .service in the results"),
]
DatabaseUrl = Annotated[
    str | None,
    typer.Option("--database", envvar="THAW_DATABASE", help="postgresql://USER@HOST/NAME; default: SQLite in --state"),
]


@app.command()
def serve(
    results: Results = DEFAULT_RESULTS,
    host: Annotated[str, typer.Option(help="to listen at; any but this machine's own needs a token")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free")] = 8420,
    state: State = None,
    database: DatabaseUrl = None,
    data_root: Annotated[
        list[Path] | None, typer.Option(help="folder beneath which data may be registered; repeatable")
    ] = None,
    uploads: Annotated[
        Path | None,
        typer.Option(help="folder of uploaded data, which all nodes of a cluster must see; default: in --state"),
    ] = None,
    address: Address = None,
    jobs: Annotated[
        str | None,
        typer.Option(metavar="URL", help="of that cluster's dashboard: searches run as its Ray jobs, on this head"),
    ] = None,
    cpus: Annotated[float | None, typer.Option(help="of the server's own Ray; default: all")] = None,
    gpus: Annotated[float | None, typer.Option(help="likewise")] = None,
    max_running: Annotated[int, typer.Option(help="searches at once")] = 4,
    upload_gib: Annotated[float, typer.Option(help="of an archive of data; four times as much unpacked")] = 4.0,
    accept_changes: Annotated[
        bool, typer.Option("--accept-changes", help="go on though code, libraries or data have changed, and record how")
    ] = False,
    keep_days: Annotated[float, typer.Option(help="how long a deleted search can be restored")] = 7.0,
) -> None:
    """Serve searches over HTTP and on a page, one queue for all who submit. Ctrl-C stops everything in order."""
    from tuner.ray_backend.address import find_head

    head = find_head(address) if address else None
    if jobs and head is None:
        raise UserError(f"--jobs {jobs}: is about a cluster's dashboard; give its --address as well, such as auto")
    settings = service_settings(
        results,
        state,
        database,
        host=host,
        port=port,
        data_roots=tuple(root.absolute() for root in data_root or ()),
        uploads_elsewhere=uploads.absolute() if uploads else None,
        address=head.address if head else None,
        jobs=jobs,
        cpus=cpus,
        gpus=gpus,
        max_running=max_running,
        upload_gib=upload_gib,
        accept_changes=accept_changes,
        keep_days=keep_days,
    )
    require_service()
    from tuner.service.errors import LostLeaseError
    from tuner.service.running import serve as run_server

    try:
        run_server(settings, lambda line: print(line, flush=True))
    except LostLeaseError as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(EXIT_FAILED) from None
    except KeyboardInterrupt:
        print("interrupted; what runs goes on, and the next `tuner serve` finds it", file=sys.stderr)
        raise typer.Exit(EXIT_INTERRUPTED) from None


def service_settings(results: str, state: Path | None, database: str | None, **given: object) -> "ServiceSettings":
    """The settings of a server, and of the commands that work on its database.

    Raises:
        UserError: every wrong option, one line each.
    """
    from pydantic import ValidationError

    from tuner.service.settings import ServiceSettings
    from tuner.storage.place import as_place

    place = as_place(results)
    place = place if isinstance(place, str) else place.absolute()
    folder = (state or _state_of(place)).absolute()
    options = {"results": place, "state": folder, "database_url": database or f"sqlite:///{folder / DATABASE_FILE}"}
    try:
        return ServiceSettings.model_validate({**options, **given})
    except ValidationError as error:
        raise UserError(
            *(f"--{str(one['loc'][0]).replace('_', '-')} {one['input']!r}: {one['msg']}" for one in error.errors())
        ) from None


@contextmanager
def database_session(results: str, state: Path | None, database: str | None) -> "Iterator[Session]":
    """A transaction in a server's database, for the commands that work on it; raises as `service_settings`."""
    require_service()
    from tuner.service.running import open_migrated

    with closing(open_migrated(service_settings(results, state, database))) as opened, opened.session() as session:
        yield session


def require_user_name(name: str) -> None:
    """Raises UserError where nobody may be called so."""
    import re

    from tuner.service.submissions.submission import NAME

    if not re.fullmatch(NAME, name):
        raise UserError(f"user {name!r}: up to 100 letters, digits, '.', '_' and '-'; choose such a name")


def require_service() -> None:
    """Raises UserError where the packages are missing that a server needs."""
    from importlib.util import find_spec

    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise UserError(
            f"the service needs packages that are not installed ({', '.join(missing)}): pip install "
            "'thaw-tuner[service]'"
        )


def _state_of(results: Path | str) -> Path:
    if isinstance(results, Path):
        return results / ".service"
    import hashlib

    from platformdirs import user_state_path

    return user_state_path("thaw") / "service" / hashlib.sha256(results.encode()).hexdigest()[:16]
