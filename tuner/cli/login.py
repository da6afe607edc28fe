"""Servers that are known on this machine."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trainable.errors import UserError
from tuner.cli.app import app

if TYPE_CHECKING:
    from tuner.client.answers import Me

Token = Annotated[
    str | None, typer.Option("--token-file", metavar="FILE|-", help="what holds the token; -: standard input")
]


@app.command()
def login(
    url: Annotated[str | None, typer.Argument(help="of `tuner serve`; without it: list the servers known here")] = None,
    token_file: Token = None,
) -> None:
    """Make a server known here, for `--remote`; asks for the token, and keeps it where only you can read it."""
    from tuner.client.logins import NONE_KNOWN, Login, Logins, is_open_to_listeners, server_url

    logins = Logins()
    if url is None:
        for known in logins.all():
            print(f"{known.url}{' (default)' if known == logins.find(None) else ''}")
        if not logins.all():
            print(NONE_KNOWN)
        return
    url = server_url(url)
    token = None if token_file is None and _asks_for_no_token(url) else _token(url, token_file)
    me = _me(url, token)
    logins.keep(Login(url, token))
    if token and is_open_to_listeners(url):
        print(f"warning: {url}: others on the network can read the token; put the server behind https", file=sys.stderr)
    print(f"logged in to {url} as {me.name} ({me.scope}); `--remote` now means this server")


@app.command()
def logout(url: Annotated[str | None, typer.Argument(help="default: the server of the latest login")] = None) -> None:
    """Forget a server and its token. The token stays valid: `tuner token` on the server revokes it."""
    from tuner.client.logins import Logins, server_url

    logins = Logins()
    known = server_url(url) if url else logins.find(None).url
    logins.forget(known)
    print(f"logged out of {known}")


def _asks_for_no_token(url: str) -> bool:
    from tuner.client.refusals import NoTokenError

    try:
        _me(url, None)
    except NoTokenError:
        return False
    return True


def _me(url: str, token: str | None) -> "Me":
    from tuner.client import Client

    with Client(url, token) as client:
        return client.me()


def _token(url: str, file: str | None) -> str:
    """Typed without being shown, or from a file or a pipe."""
    if file is None and sys.stdin.isatty():
        token = str(typer.prompt(f"token for {url}", hide_input=True))
    elif file is None or file == "-":
        token = sys.stdin.read()
    else:
        try:
            token = Path(file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(
                f"--token-file {file}: cannot be read ({error}); give a file that holds the token"
            ) from None
    if not token.strip().isascii() or len(token.split()) != 1:
        raise UserError(f"login {url}: a token is one word; `tuner token create` on the server makes one")
    return token.strip()
