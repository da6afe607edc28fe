"""Searching where this machine has no part in it."""

import functools
import inspect as introspection
from collections.abc import Callable
from typing import Annotated, Any

import typer

from trainable.errors import UserError
from tuner.cli import on_head, on_server
from tuner.cli.app import app
from tuner.cli.elsewhere import WHERE, runs_elsewhere
from tuner.cli.options import signed
from tuner.cli.searching import search

Follow = Annotated[bool, typer.Option("--follow", help="print what it tells until its end")]


_OF_SEARCH_ALONE = {"ctx", "address", *WHERE}
"""what says where it runs"""


def _with_options_of_search(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command all options of `search` but where it runs."""
    own, of_search = introspection.signature(command), introspection.signature(search)
    kept = (parameter for name, parameter in own.parameters.items() if name != "given")
    shared = (parameter for name, parameter in of_search.parameters.items() if name not in _OF_SEARCH_ALONE)

    @functools.wraps(command)
    def with_options(**given: Any) -> None:
        command(**given)

    return signed(with_options, *shared, *kept)


@app.command()
@runs_elsewhere(on_head=on_head.submit, on_server=on_server.SUBMIT)
@_with_options_of_search
def submit(*, follow: Follow = False, **given: Any) -> None:  # noqa: ARG001
    """Search on a cluster's head or a server, as `search` there: it goes on when this machine is switched off."""
    raise UserError("submit: say where to, with --cluster FILE or --remote; `tuner search` searches here")
