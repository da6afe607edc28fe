"""Where a command runs: here, on a cluster's head, or on a server."""

from __future__ import annotations

import functools
import inspect as introspection
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trainable.errors import UserError
from tuner.cli.options import signed

if TYPE_CHECKING:
    from tuner.client import Client

Cluster = Annotated[
    str | None,
    typer.Option("--cluster", metavar="FILE|URL", help="do it there: `ray up`'s file, or the dashboard's URL"),
]
Remote = Annotated[bool, typer.Option("--remote", help="do it on the server of the latest `tuner login`")]
Server = Annotated[str | None, typer.Option("--server", metavar="URL", help="do it on this server; see `tuner login`")]
WHERE = {"cluster": (Cluster, None), "remote": (Remote, False), "server": (Server, None)}
"""the options that say where, which a command elsewhere is not told"""


@dataclass(frozen=True)
class Call:
    """A command that is to run elsewhere, as it was given here."""

    ctx: typer.Context

    @property
    def verb(self) -> str:
        return str(self.ctx.info_name)

    @property
    def search(self) -> str:
        """The name of the search that it is about; empty: of none."""
        return Path(self.ctx.params.get("name") or "").name

    def value(self, parameter: str) -> Any:
        return self.ctx.params[parameter]

    def given(self) -> list[Any]:
        """Click's parameters that its command line has: what comes from the environment or a default stays here."""
        return [parameter for parameter in self.ctx.command.params if self.is_given(parameter.name)]

    def is_given(self, parameter: str | None) -> bool:
        source = self.ctx.get_parameter_source(parameter or "")
        return parameter not in WHERE and source is not None and source.name == "COMMANDLINE"


OnHead = Callable[[str, Call], None]
"""does a command on the head of a cluster, which is a file or a URL"""


@dataclass(frozen=True)
class OnServer:
    """Does a command on a server."""

    do: Callable[[Client, Call], None]
    takes: frozenset[str]
    """parameters that mean the same there; others are refused where they are given"""


_OF_THIS_MACHINE = {
    "results": "a server keeps its searches itself",
    "address": "a server knows the cluster that it searches on",
    "plugin": "a server runs no code that it is sent",
    "notify": "a server keeps no passwords; set THAW_NOTIFY where it is started",
}
"""why an option is refused for a server"""


def runs_elsewhere(
    *, on_head: OnHead | None = None, on_server: OnServer | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command `--cluster`, with which `on_head` does it there, and `--remote` and `--server` likewise."""
    places = [*(["cluster"] if on_head else []), *(["remote", "server"] if on_server else [])]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def here_or_there(
            ctx: typer.Context,
            cluster: str | None = None,
            remote: bool = False,
            server: str | None = None,
            **given: Any,
        ) -> None:
            if cluster is not None and (remote or server):
                raise UserError("--cluster and --remote: a command runs in one place; give one of them")
            if on_head and cluster is not None:
                on_head(cluster, Call(ctx))
            elif on_server and (remote or server):
                _do_on_server(server, on_server, Call(ctx))
            else:
                command(**given)

        added = {"ctx": (typer.Context, introspection.Parameter.empty)} | {place: WHERE[place] for place in places}
        own = introspection.signature(command).parameters.values()
        return signed(
            here_or_there,
            *own,
            *(
                introspection.Parameter(name, introspection.Parameter.KEYWORD_ONLY, annotation=kind, default=default)
                for name, (kind, default) in added.items()
            ),
        )

    return decorate


def _do_on_server(server: str | None, on_server: OnServer, call: Call) -> None:
    strange = [parameter for parameter in call.given() if parameter.name not in on_server.takes]
    if strange:
        why = "a server has no such choice"
        raise UserError(*(f"{one.opts[-1]}: {_OF_THIS_MACHINE.get(one.name, why)}; leave it out" for one in strange))
    with connected(server) as client:
        on_server.do(client, call)


def connected(server: str | None) -> Client:
    """A client of the server at a URL that is known, or of the default one; raises UserError as `Logins.find`."""
    from tuner.client import Client
    from tuner.client.logins import Logins

    login = Logins().find(server)
    return Client(login.url, login.token)
