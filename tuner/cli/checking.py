"""Finding mistakes before anything runs: in a space, its data and a cluster's file."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trainable.errors import UserError
from tuner.cli.app import EXIT_MISTAKE, app
from tuner.cli.options import AsJson, Offline, Plugins, overrides_space, reads_data

if TYPE_CHECKING:
    from tuner.config import DataConfig
    from tuner.proved_cluster import ProvedCluster
    from tuner.proving import Proved


@app.command()
@overrides_space
@reads_data
def check(
    space: Annotated[
        str | None, typer.Argument(help="a shipped space's name (see `tuner spaces`) or a YAML file")
    ] = None,
    data: Annotated[Path | None, typer.Option("--data", help="also prove the data, and the space against them")] = None,
    cluster: Annotated[
        Path | None,
        typer.Option(help="a file for `ray up` or a KubeRay manifest, checked as far as possible from here"),
    ] = None,
    cpus_per_trial: Annotated[float, typer.Option(help="that a node of the cluster must have")] = 1.0,
    gpus_per_trial: Annotated[float | None, typer.Option(help="likewise; default: one if there are any")] = None,
    offline: Offline = False,
    plugin: Plugins = None,  # noqa: ARG001  (loaded as it is read)
    as_json: AsJson = False,
    *,
    reading: dict[str, Any],
    overrides: dict[str, Any],
) -> None:
    """Find every mistake of a space, its data and a cluster without running anything; downloads missing weights."""
    from tuner.config import DataConfig, Resources, parse_options
    from tuner.proved_cluster import prove_cluster

    if space is None and cluster is None:
        raise UserError("nothing to check: give a space, --cluster FILE, or both")
    config = parse_options(DataConfig, path=data.absolute(), **reading) if data else None
    asked = parse_options(Resources, cpus_per_trial=cpus_per_trial, gpus_per_trial=gpus_per_trial)
    mistakes: list[str] = []
    nodes = proved = None
    never_trained: list[str] = []
    with _collected(mistakes):
        nodes = prove_cluster(cluster, asked.cpus_per_trial, asked.gpus_per_trial) if cluster else None
    with _collected(mistakes):
        if space is not None:
            proved, never_trained = _prove(space, config, overrides, offline)
    if as_json:
        notes = {"cluster_notes": nodes.notes} if nodes else {}
        found = {"ok": not mistakes, "mistakes": mistakes, "never_trained": never_trained, **notes, **_warnings(proved)}
        print(json.dumps(found, indent=1))
        raise typer.Exit(EXIT_MISTAKE if mistakes else 0)
    if mistakes:
        raise UserError(*mistakes)
    for line in (*_told_cluster(nodes), *_told_space(proved, data), *(f"limit: {line}" for line in never_trained)):
        print(line)
    print("ok")


@contextmanager
def _collected(mistakes: list[str]) -> Iterator[None]:
    try:
        yield
    except UserError as error:
        mistakes += error.mistakes


def _prove(
    space: str, config: "DataConfig | None", overrides: dict[str, Any], offline: bool
) -> tuple["Proved", list[str]]:
    from search_spaces.overrides import Overrides
    from tuner.limits import prove_limits
    from tuner.proving import prove_all

    proved = prove_all(space, config, download=not offline, overrides=Overrides.model_validate(overrides))
    labels = len(proved.data.labels) if proved.data else 1
    return proved, prove_limits(proved.space, labels, threads=1).never


def _warnings(proved: "Proved | None") -> dict[str, list[str]]:
    if proved is None or proved.data is None:
        return {}
    return {"warnings": [f"{problem.row}: {problem.message}" for problem in proved.data.inspection.warnings]}


def _told_cluster(found: "ProvedCluster | None") -> Iterator[str]:
    if found is None:
        return
    nodes = found.cluster
    yield f"{nodes.file}: {nodes.provider}, up to {nodes.max_workers} workers; {', '.join(map(str, nodes.types))}"
    yield from (f"note: {note}" for note in found.notes)


def _told_space(proved: "Proved | None", data: Path | None) -> Iterator[str]:
    if proved is None:
        return
    found = proved.space
    size = found.size()
    count = "" if size is None else f", {size} combinations"
    yield from (f"override: {line}" for line in proved.overrides)
    yield f"{found.name}: {len(found.axes)} axes{count}, {found.trials()} trials, {', '.join(found.backbones())}"
    if proved.data:
        sizes = ", ".join(f"{name} {count}" for name, count in proved.data.split_sizes.items())
        yield f"{data}: {proved.data.inspection.layout}"
        yield f"{proved.data.task}, {len(proved.data.labels)} labels; images: {sizes}"
        yield from proved.data.inspection.problem_lines()
