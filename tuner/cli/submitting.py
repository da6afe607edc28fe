"""Searching on a cluster that this machine is no part of."""

import functools
import inspect as introspection
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from tuner.cli.app import app
from tuner.cli.remote import given_arguments, start_on_head
from tuner.cli.searching import search

Follow = Annotated[bool, typer.Option("--follow", help="print what it tells until its end")]


def _with_options_of_search(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command all options of `search` but where it runs, which it says itself."""
    own, of_search = introspection.signature(command), introspection.signature(search)
    kept = [parameter for name, parameter in own.parameters.items() if name != "given"]
    shared = [parameter for name, parameter in of_search.parameters.items() if name != "address"]
    parameters = [parameter.replace(kind=parameter.KEYWORD_ONLY) for parameter in (*shared, *kept)]

    @functools.wraps(command)
    def with_options(**given: Any) -> None:
        command(**given)

    with_options.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_options


@app.command()
@_with_options_of_search
def submit(
    *,
    ctx: typer.Context,
    cluster: Annotated[
        str,
        typer.Option("--cluster", metavar="FILE|URL", help="the file that `ray up` was given, or its dashboard's URL"),
    ],
    follow: Follow = False,
    **given: Any,
) -> None:
    """Search on a cluster: as `search` on its head, where it goes on when this machine is switched off."""
    from search_spaces.space import load_space

    load_space(given["space"])
    name = given["name"] or f"{Path(given['space']).stem}-{datetime.now():%Y%m%d-%H%M%S}"
    arguments = given_arguments(ctx, leave_out=("cluster", "follow", "name"))
    start_on_head(cluster, ["search", *arguments, f"--name={name}"], name, follow=follow)
