"""Commands on a cluster's head, as Ray's jobs; what they print is printed here."""

import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from trainable.errors import UserError
from tuner.cli.elsewhere import Call

if TYPE_CHECKING:
    from tuner.ray_backend.jobs import Argument

SHIPPED = ("space", "plugin", "notify")
"""arguments and options whose files the head is given copies of"""
SECRET = "notify"
"""an option that may hold passwords"""


def run(cluster: str, call: Call) -> None:
    """The same command there."""
    from tuner.ray_backend.jobs import run_on_head

    raise typer.Exit(run_on_head(cluster, [call.verb, *_arguments(call)], _tell))


def logs(cluster: str, call: Call) -> None:
    """As `run`, for what a search tells: it may have begun a moment ago."""
    from tuner.ray_backend.jobs import print_logs

    raise typer.Exit(print_logs(cluster, call.search, [call.verb, *_arguments(call)], _tell))


def start(cluster: str, call: Call) -> None:
    """As `run`, for a command that trains for hours: it is begun there, and this returns."""
    _start(cluster, [call.verb, *_arguments(call)], call.search, follow=False)


def submit(cluster: str, call: Call) -> None:
    """Begin a search there."""
    from search_spaces.space import load_space

    load_space(call.value("space"))
    name = call.value("name") or f"{Path(call.value('space')).stem}-{datetime.now():%Y%m%d-%H%M%S}"
    arguments = ["search", *_arguments(call, leave_out=("follow", "name")), f"--name={name}"]
    _start(cluster, arguments, name, follow=call.value("follow"))


def _start(cluster: str, arguments: "Sequence[Argument]", name: str, *, follow: bool) -> None:
    """`follow` prints what the search tells until its end, which it does not wait for else."""
    from tuner.ray_backend.jobs import jobs_of

    with jobs_of(cluster) as jobs:
        job = jobs.start([*arguments, "--address=auto"], f"thaw-{name}", name)
        told = f"search {name} is on its way there, whatever becomes of this machine (Ray's job {job.id})"
        print(f"{told}\n  tuner logs {name} --follow --cluster {cluster}", flush=True)
        if follow:
            raise typer.Exit(jobs.finish(job, _tell))


def _tell(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _arguments(call: Call, leave_out: Sequence[str] = ()) -> "list[Argument]":
    """What a command was given, as a command line for the head."""
    return [
        argument
        for parameter in call.given()
        if parameter.name not in leave_out
        for argument in _as_given(parameter, call.value(parameter.name))
    ]


def _as_given(parameter: Any, value: Any) -> "Iterator[Argument]":
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
