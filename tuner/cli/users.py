"""Users of the service: what each may take, and whether they may do anything; beside its database, not over HTTP."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from tuner.cli.app import app
from tuner.cli.options import DEFAULT_RESULTS, Results
from tuner.cli.printing import print_table
from tuner.cli.serving import DatabaseUrl, State, database_session, require_user_name

user = typer.Typer(help="List, limit and disable users of the service.", no_args_is_help=True)
app.add_typer(user, name="user")
Name = Annotated[str, typer.Argument(help="as `tuner user ls` shows it", metavar="USER")]


@user.command()
def ls(results: Results = DEFAULT_RESULTS, state: State = None, database: DatabaseUrl = None) -> None:
    """List who has had a token, or has submitted a search."""
    from tuner.service.access.accounts import list_users

    with database_session(results, state, database) as session:
        rows = [
            [
                row.name,
                "" if row.max_running is None else str(row.max_running),
                "" if row.gpu_hours is None else f"{row.gpu_hours:g}",
                "disabled" if row.is_disabled else "",
            ]
            for row in list_users(session)
        ]
    if rows:
        print_table(["user", "searches at once", "GPU hours", ""], rows)
    else:
        print("no users yet")


@user.command()
def limit(
    name: Name,
    max_running: Annotated[int | None, typer.Option(min=0, help="searches at once; default: no limit")] = None,
    gpu_hours: Annotated[
        float | None, typer.Option(min=0, help="of all searches together, earlier ones too; default: no limit")
    ] = None,
    results: Results = DEFAULT_RESULTS,
    state: State = None,
    database: DatabaseUrl = None,
) -> None:
    """Say what a user may take from now on; what is not given is without limit. The server heeds it within a minute."""
    from tuner.service.access.accounts import find_or_add_user

    require_user_name(name)
    with database_session(results, state, database) as session:
        row = find_or_add_user(session, name, datetime.now(UTC))
        row.max_running, row.gpu_hours = max_running, gpu_hours
    given = [
        *([] if max_running is None else [f"{max_running} searches at once"]),
        *([] if gpu_hours is None else [f"{gpu_hours:g} GPU hours"]),
    ]
    print(f"user {name}: {', '.join(given) or 'no limits'}")


@user.command()
def disable(name: Name, results: Results = DEFAULT_RESULTS, state: State = None, database: DatabaseUrl = None) -> None:
    """Have a user's tokens count no more, and the searches stop and wait; `enable` takes it back."""
    _set_disabled(name, True, results, state, database)
    print(f"user {name} is disabled; searches stop within a minute")


@user.command()
def enable(name: Name, results: Results = DEFAULT_RESULTS, state: State = None, database: DatabaseUrl = None) -> None:
    """Have a user's tokens count again, and searches go on."""
    _set_disabled(name, False, results, state, database)
    print(f"user {name} is enabled")


def _set_disabled(name: str, is_disabled: bool, results: str, state: Path | None, database: str | None) -> None:
    from tuner.service.access.accounts import find_user

    with database_session(results, state, database) as session:
        find_user(session, name).is_disabled = is_disabled
