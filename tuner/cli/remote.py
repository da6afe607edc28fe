"""Commands that may run on a cluster's head instead of here."""

import functools
import inspect as introspection
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trainable.errors import UserError

if TYPE_CHECKING:
    from tuner.ray_backend.jobs import Argument

Cluster = Annotated[
    str | None,
    typer.Option("--cluster", metavar="FILE|URL", help="do it there: `ray up`'s file, or the dashboard's URL"),
]
SHIPPED = ("space", "plugin", "notify")
"""arguments and options whose files the head is given copies of"""
SECRET = "notify"
"""an option that may hold passwords"""


def runs_on_head(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command `--cluster`, with which the same runs on that cluster's head; what it prints is printed here."""

    def there(cluster: str, verb: str, arguments: "list[Argument]", name: str) -> None:  # noqa: ARG001
        from tuner.ray_backend.jobs import run_on_head

        raise typer.Exit(run_on_head(cluster, [verb, *arguments], tell))

    return _here_or(there, command)


def logs_of_head(command: Callable[..., None]) -> Callable[..., None]:
    """As `runs_on_head`, for what a search tells: it may have begun a moment ago."""

    def there(cluster: str, verb: str, arguments: "list[Argument]", name: str) -> None:
        from tuner.ray_backend.jobs import print_logs

        raise typer.Exit(print_logs(cluster, name, [verb, *arguments], tell))

    return _here_or(there, command)


def starts_on_head(command: Callable[..., None]) -> Callable[..., None]:
    """As `runs_on_head`, for a command that trains for hours: it is begun there, and this returns."""

    def there(cluster: str, verb: str, arguments: "list[Argument]", name: str) -> None:
        start_on_head(cluster, [verb, *arguments], name, follow=False)

    return _here_or(there, command)


def start_on_head(cluster: str, arguments: "Sequence[Argument]", name: str, *, follow: bool) -> None:
    """Begin to search on a cluster's head; `follow` prints what it tells until its end, which it does not wait for."""
    from tuner.ray_backend.jobs import jobs_of

    with jobs_of(cluster) as jobs:
        job = jobs.start([*arguments, "--address=auto"], f"thaw-{name}", name)
        told = f"search {name} is on its way there, whatever becomes of this machine (Ray's job {job.id})"
        print(f"{told}\n  tuner logs {name} --follow --cluster {cluster}", flush=True)
        if follow:
            raise typer.Exit(jobs.finish(job, tell))


def given_arguments(ctx: typer.Context, leave_out: Sequence[str] = ("cluster",)) -> "list[Argument]":
    """What a command was given on its command line, as one for the head; what comes from the environment stays here."""
    return [
        argument
        for parameter in ctx.command.params
        if parameter.name not in leave_out and _is_given(ctx, parameter.name)
        for argument in _arguments(parameter, ctx.params[parameter.name])
    ]


def tell(text: str) -> None:
    """Pass on what the head prints."""
    sys.stdout.write(text)
    sys.stdout.flush()


def _here_or(there: Callable[..., None], command: Callable[..., None]) -> Callable[..., None]:
    own = introspection.signature(command)

    @functools.wraps(command)
    def here_or_there(ctx: typer.Context, cluster: str | None, **given: Any) -> None:
        if cluster is None:
            command(**given)
        else:
            there(cluster, ctx.info_name, given_arguments(ctx), Path(given.get("name", "")).name)

    added = {"ctx": (typer.Context, introspection.Parameter.empty), "cluster": (Cluster, None)}
    parameters = [
        *(parameter.replace(kind=parameter.KEYWORD_ONLY) for parameter in own.parameters.values()),
        *(
            introspection.Parameter(name, introspection.Parameter.KEYWORD_ONLY, annotation=kind, default=default)
            for name, (kind, default) in added.items()
        ),
    ]
    here_or_there.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    here_or_there.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return here_or_there


def _is_given(ctx: typer.Context, name: str) -> bool:
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _arguments(parameter: Any, value: Any) -> "Iterator[Argument]":
    from tuner.ray_backend.jobs import Shipped

    option = parameter.opts[-1] if parameter.param_type_name == "option" else ""
    if isinstance(value, bool):
        yield option
        return
    for one in value if isinstance(value, (list, tuple)) else [value]:
        if parameter.name in SHIPPED and Path(one).is_file():
            yield from (*([option] if option else ()), Shipped(Path(one)))
        elif parameter.name == SECRET:
            raise UserError(
                f"{option}: the cluster would keep the address with its jobs, for all to see; give a file that holds "
                "it, or set THAW_NOTIFY on the head"
            )
        else:
            yield f"{option}={one}" if option else str(one)
