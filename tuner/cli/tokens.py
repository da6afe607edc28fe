"""Tokens of the service: made, listed and revoked beside its database, not over HTTP."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

import typer

from tuner.cli.app import app
from tuner.cli.options import DEFAULT_RESULTS, Results
from tuner.cli.printing import print_table
from tuner.cli.serving import DatabaseUrl, State, database_session, require_user_name

token = typer.Typer(help="Make, list and revoke tokens of the service.", no_args_is_help=True)
app.add_typer(token, name="token")


@token.command()
def create(
    user: Annotated[str, typer.Argument(help="whose it is; the user is made if need be")],
    scope: Annotated[
        Literal["read", "submit", "admin"],
        typer.Option(help="read: see all; submit: one's own searches and data too; admin: everybody's"),
    ] = "submit",
    days: Annotated[float | None, typer.Option(min=0.001, help="until it expires; default: never")] = None,
    results: Results = DEFAULT_RESULTS,
    state: State = None,
    database: DatabaseUrl = None,
) -> None:
    """Make a token and print it. It is kept nowhere: whoever loses it needs a new one."""
    require_user_name(user)
    lifetime = None if days is None else timedelta(days=days)
    with database_session(results, state, database) as session:
        from tuner.service.access.accounts import create_token

        _, text = create_token(session, user, scope, datetime.now(UTC), lifetime)
    print(text)


@token.command()
def ls(results: Results = DEFAULT_RESULTS, state: State = None, database: DatabaseUrl = None) -> None:
    """List the tokens that there have been; none of them can be had again."""
    from tuner.service.access.accounts import list_tokens

    with database_session(results, state, database) as session:
        rows = [
            [
                row.id,
                row.user.name,
                row.scope,
                _told(row.created_at),
                _told(row.last_used_at),
                f"revoked {_told(row.revoked_at)}" if row.revoked_at else _told(row.expires_at),
            ]
            for row in list_tokens(session)
        ]
    if rows:
        print_table(["token", "user", "scope", "made", "last used", "until"], rows)
    else:
        print("no tokens: a server on this machine's own address asks nobody for one")


@token.command()
def revoke(
    id: Annotated[str, typer.Argument(help="as `tuner token ls` shows it; not the token itself")],
    results: Results = DEFAULT_RESULTS,
    state: State = None,
    database: DatabaseUrl = None,
) -> None:
    """Have a token count no more, from the next request on."""
    from tuner.service.access.accounts import revoke_token

    with database_session(results, state, database) as session:
        row = revoke_token(session, id, datetime.now(UTC))
        told = f"token {row.id} of {row.user.name} is revoked"
    print(told)


def _told(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%d %H:%M} UTC"
