"""Proving and running a search."""

import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from trainable.disk import is_disk_full, told_of_disk
from trainable.errors import UserError
from tuner.cli import on_head, on_server
from tuner.cli.app import EXIT_FAILED, app
from tuner.cli.elsewhere import runs_elsewhere
from tuner.cli.options import (
    DEFAULT_RESULTS,
    Address,
    Data,
    Name,
    Notify,
    Offline,
    Plugins,
    Results,
    Space,
    added,
    numbers,
    overrides_space,
    reads_data,
)
from tuner.wording.language import Language

if TYPE_CHECKING:
    from tuner.config import Grant
    from tuner.extension import Extension
    from tuner.live import Progress
    from tuner.store import Store

MoreHours = Annotated[float | None, typer.Option(help="wall-clock limit, counted from now on")]
DiskGib = Annotated[float | None, typer.Option(help="the most that the search's folder may take, in GiB")]
MoreGpuHours = Annotated[float | None, typer.Option(help="limit of all trials' GPU time, counted from now on")]

OtherTracking = Annotated[
    str | None, typer.Option("--tracking", help="other trackers from now on, as in search; default: those that it had")
]

SHOWN_AT_THE_END = 4
"""rows that a search prints last; the rest is in its leaderboard.md"""


@app.command()
@runs_elsewhere(on_server=on_server.SEARCH)
@overrides_space
@reads_data
def search(
    space: Space,
    data: Data,
    name: Annotated[str | None, typer.Option(help="default: the space's name and the time")] = None,
    results: Results = DEFAULT_RESULTS,
    trials: Annotated[int | None, typer.Option(help="with the baseline; default: the space's budget")] = None,
    hours: Annotated[float | None, typer.Option(help="wall-clock limit")] = None,
    gpu_hours: Annotated[float | None, typer.Option(help="limit of all trials' GPU time together")] = None,
    disk_gib: DiskGib = None,
    warm_start: Annotated[
        str | None, typer.Option(help="an earlier search's name or folder: its best trials are tried first")
    ] = None,
    warm_start_top: Annotated[int, typer.Option(help="how many of them")] = 5,
    seed: Annotated[int, typer.Option(help="keys the sampler")] = 0,
    top: Annotated[int, typer.Option("--top", help="best trials written to top/ and scored on test")] = 3,
    audit: Annotated[int, typer.Option(help="train so many halted trials on: was halving safe?")] = 0,
    max_same_failures: Annotated[
        int, typer.Option(help="stop when more trials than that fail with the same error")
    ] = 5,
    repeats: Annotated[
        int | None, typer.Option(help="train the best and the baseline again with so many seeds")
    ] = None,
    resplit: Annotated[bool, typer.Option("--resplit", help="repeats also split train and val anew")] = False,
    folds: Annotated[int | None, typer.Option(help="cross-validate the best and the baseline")] = None,
    train_fractions: Annotated[
        str | None, typer.Option(help="train the best on shares of the training images, such as 0.25,0.5,1")
    ] = None,
    reference: Annotated[
        list[str] | None, typer.Option(help="scores to stand in the table, as 'best ML model: accuracy=0.96'")
    ] = None,
    hypothesis: Annotated[str, typer.Option(help="what is expected; default: the space's")] = "",
    notes: Annotated[str, typer.Option(help="a remark for the journal")] = "",
    lang: Annotated[
        Language, typer.Option(envvar="THAW_LANG", help="of tables, conclusions, journal and page; kept by resume")
    ] = "en",
    workers: Annotated[int | None, typer.Option(help="trials at once; default: as CPUs and GPUs allow")] = None,
    cpus_per_trial: Annotated[float, typer.Option(help="a share is allowed")] = 1.0,
    gpus_per_trial: Annotated[float | None, typer.Option(help="a share is allowed; default: as it needs")] = None,
    threads_per_trial: Annotated[int, typer.Option(help="CPU threads of torch; part of the result")] = 1,
    precision: Annotated[
        Literal["fp32", "bf16", "fp16"], typer.Option(help="of all trials' networks; fp16 on GPUs only")
    ] = "fp32",
    compute: Annotated[
        Literal["plain", "auto"], typer.Option(help="auto: a probe may choose another layout, or compiled steps")
    ] = "plain",
    tracking: Annotated[
        str, typer.Option(envvar="THAW_TRACKING", help="auto: trackers that are configured; off; or some by name")
    ] = "auto",
    offline: Offline = False,
    notify: Notify = None,
    address: Address = None,
    plugin: Plugins = None,  # noqa: ARG001  (loaded as it is read)
    *,
    reading: dict[str, Any],
    overrides: dict[str, Any],
) -> None:
    """Search a space on labelled images; ends with the leaderboard."""
    from tuner.config import SearchConfig, parse_options
    from tuner.run import run_search
    from tuner.storage.place import as_place, beneath
    from tuner.store import Store

    config = parse_options(
        SearchConfig,
        name=name or f"{Path(space).stem}-{datetime.now():%Y%m%d-%H%M%S}",
        space=space,
        data={"path": data.absolute(), **reading},
        overrides=overrides,
        trials=trials,
        hours=hours,
        gpu_hours=gpu_hours,
        disk_gib=disk_gib,
        warm_start=warm_start,
        warm_start_top=warm_start_top,
        seed=seed,
        top_k=top,
        audit=audit,
        max_same_failures=max_same_failures,
        reruns={
            "repeats": repeats,
            "resplit": resplit,
            "folds": folds,
            "train_fractions": numbers("--train-fractions", train_fractions),
        },
        references=reference or (),
        hypothesis=hypothesis,
        notes=notes,
        language=lang,
        resources={
            "workers": workers,
            "cpus_per_trial": cpus_per_trial,
            "gpus_per_trial": gpus_per_trial,
            "threads_per_trial": threads_per_trial,
        },
        precision=precision,
        compute=compute,
        results=results,
        tracking=tracking,
        offline=offline,
        notify=tuple(notify or ()),
    )
    store = Store(beneath(as_place(results), config.name))
    _watch(store, lambda progress: run_search(config, progress.hear, address=address))


@app.command()
@runs_elsewhere(on_head=on_head.start, on_server=on_server.RESUME)
def resume(
    name: Name,
    results: Results = DEFAULT_RESULTS,
    accept_changes: Annotated[
        bool, typer.Option("--accept-changes", help="go on though space, data or code have changed, and record how")
    ] = False,
    hours: MoreHours = None,
    gpu_hours: MoreGpuHours = None,
    address: Address = None,
    disk_gib: DiskGib = None,
    tracking: OtherTracking = None,
    notify: Notify = None,
) -> None:
    """Go on with a search that was interrupted, killed or out of time."""
    from tuner.config import Grant, parse_options
    from tuner.store import Store

    limits = parse_options(Grant, hours=hours, gpu_hours=gpu_hours, disk_gib=disk_gib)
    _go_on(Store.open(name, results), accept_changes, limits, notify, tracking, address)


@app.command()
@runs_elsewhere(on_head=on_head.start, on_server=on_server.EXTEND)
def extend(
    name: Name,
    trials: Annotated[str | None, typer.Option(metavar="+N", help="more trials than it had")] = None,
    space: Annotated[
        str | None, typer.Option("--space", help="a wider space that they are of; default: the search's own")
    ] = None,
    epochs: Annotated[str | None, typer.Option(metavar="+N", help="more epochs for the best trials")] = None,
    top: Annotated[int | None, typer.Option(min=1, help="how many of them; default: as many as in top/")] = None,
    results: Results = DEFAULT_RESULTS,
    accept_changes: Annotated[
        bool, typer.Option("--accept-changes", help="go on though data or code have changed, and record how")
    ] = False,
    hours: MoreHours = None,
    gpu_hours: MoreGpuHours = None,
    disk_gib: DiskGib = None,
    tracking: OtherTracking = None,
    notify: Notify = None,
    address: Address = None,
) -> None:
    """Try more trials in a search that has ended or was left, or train its best ones on, as trials of their own."""
    from tuner.config import Grant, parse_options
    from tuner.extension import Extension
    from tuner.store import Store

    if epochs and (trials or space):
        raise UserError("--epochs trains trials on, --trials and --space add new ones: give one kind at a time")
    if not (trials or space or epochs):
        raise UserError("nothing to add: give --trials +20, --space WIDER.yaml, or --epochs +10")
    if top and not epochs:
        raise UserError(f"--top {top}: says how many trials get more epochs; give --epochs as well")
    extension = Extension(added("--trials", trials), space, added("--epochs", epochs), top)
    limits = parse_options(Grant, hours=hours, gpu_hours=gpu_hours, disk_gib=disk_gib)
    _go_on(Store.open(name, results), accept_changes, limits, notify, tracking, address, extension)


def _go_on(
    store: "Store",
    accept_changes: bool,
    limits: "Grant",
    notify: list[str] | None,
    tracking: str | None,
    address: str | None,
    extension: "Extension | None" = None,
) -> None:
    """Run a search on from its log, of which progress knows."""
    from pydantic import SecretStr

    from tuner.run import resume_search

    def run(progress: "Progress") -> "Store":
        for event in store.events():
            progress.recall(event)
        return resume_search(
            store,
            progress.hear,
            accept_changes=accept_changes,
            extension=extension,
            limits=limits,
            notify=tuple(map(SecretStr, notify or ())),
            tracking=tracking,
            address=address,
        )

    _watch(store, run)


@app.command()
@runs_elsewhere(on_head=on_head.run, on_server=on_server.STOP)
def stop(
    name: Name,
    results: Results = DEFAULT_RESULTS,
    wait: Annotated[float, typer.Option(min=0, help="seconds until its process should be gone")] = 60,
) -> None:
    """Stop a search that runs in another shell; `tuner resume` goes on."""
    from tuner.interruption import stop_search
    from tuner.store import Store

    store = Store.open(name, results)
    stop_search(store, wait_seconds=wait)
    print(f"search {store.name} is stopped; `tuner resume {name}` goes on")


@app.command()
@runs_elsewhere(on_head=on_head.logs, on_server=on_server.LOGS)
def logs(
    name: Name,
    results: Results = DEFAULT_RESULTS,
    follow: Annotated[bool, typer.Option("--follow", help="go on for as long as it runs")] = False,
) -> None:
    """Print what a search has told since it began, in lines."""
    from tuner.following import told
    from tuner.live import PlainLines
    from tuner.store import Store

    lines = PlainLines(sys.stdout)
    for event in told(Store.open(name, results), follow=follow):
        lines.hear(event)


def _watch(searched: "Store", run: Callable[["Progress"], "Store"]) -> None:
    """Run a search before people's eyes; its leaderboard comes last."""
    from tuner.evidence.gathering import gather
    from tuner.interruption import SearchFailedError
    from tuner.live import live_progress
    from tuner.report.leaderboard import to_brief_markdown
    from tuner.storage.segments import LogEndedError
    from tuner.tracking.syncing import waiting

    try:
        with live_progress() as progress:
            store = run(progress)
    except KeyboardInterrupt:
        kept = "nothing had begun"
        if searched.home.exists():
            kept = f"what finished is in {searched.place}; `tuner resume` goes on"
        print(f"interrupted; {kept}", file=sys.stderr)
        raise
    except (SearchFailedError, LogEndedError) as error:
        print(f"error: {error}; once that is repaired, `tuner resume {searched.name}` goes on", file=sys.stderr)
        raise typer.Exit(EXIT_FAILED) from None
    except Exception as error:
        if not is_disk_full(error):
            raise
        kept = f"what finished is in {searched.place}: free some and `tuner resume {searched.name}`"
        print(f"error: the disk is full: {told_of_disk(error)}; {kept}", file=sys.stderr)
        raise typer.Exit(EXIT_FAILED) from None

    record = store.record()
    print(f"\n{to_brief_markdown(record, gather(store, record), SHOWN_AT_THE_END)}", end="")
    best = f"best config: {store.shown(store.best_yaml)}   " if record.best else ""
    print(f"{best}all trials and how they were made: {store.shown(store.leaderboard_md)}")
    print(f"the whole search on one page: {store.shown(store.report_html)}")
    if record.links.search:
        print(f"on the web: {record.links.search}")
    for line in waiting(store):
        print(f"warning: {line}", file=sys.stderr)
    if record.best is None:
        raise typer.Exit(EXIT_FAILED)
