"""The command line: a thin door over the modules that do the work, imported when a command needs them."""

import functools
import inspect as introspection
import json
import os
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import typer

from trainable.errors import UserError
from trainable.task import TaskChoice

EXIT_FAILED, EXIT_MISTAKE, EXIT_INTERRUPTED = 1, 2, 130

app = typer.Typer(
    help="Search hyperparameters of transfer-learned image classifiers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Layout = Literal["auto", "folders", "split_folders", "class_column", "labels_column", "indicator_columns"]
Space = Annotated[str, typer.Argument(help="a shipped space's name (see `tuner spaces`) or a YAML file")]
Name = Annotated[str, typer.Argument(help="a search's name, or its folder")]
Results = Annotated[Path, typer.Option("--results", envvar="THAW_RESULTS", help="folder of all searches")]
AsJson = Annotated[bool, typer.Option("--json", help="machine-readable output")]
Data = Annotated[Path, typer.Option("--data", help="folder of class or split folders, or a CSV or Parquet manifest")]
Offline = Annotated[bool, typer.Option("--offline", help="never download pretrained weights")]

DEFAULT_RESULTS = Path("results")
SHOWN_AT_THE_END = 5
"""rows that a search prints last; the rest is in its leaderboard.md"""


def _reading(
    *,
    task: Annotated[TaskChoice, typer.Option(help="what is told of an image")] = "auto",
    layout: Annotated[Layout, typer.Option(help="how the data are laid out")] = "auto",
    image_column: Annotated[str | None, typer.Option(help="manifest column of image paths")] = None,
    label_column: Annotated[str | None, typer.Option(help="manifest column of labels")] = None,
    labels_separator: Annotated[str | None, typer.Option(help="what separates labels in a cell")] = None,
    split: Annotated[str, typer.Option(help="train/val/test or train/val; a given split wins")] = "70/15/15",
    drop_rare_labels: Annotated[int | None, typer.Option(help="leave out labels with fewer positives")] = None,
    skip_unreadable: Annotated[bool, typer.Option("--skip-unreadable", help="leave out broken images")] = False,
    data_seed: Annotated[int, typer.Option(help="keys split and augmented views")] = 0,
) -> None:
    """The options of every command that reads data; their names are DataConfig's fields."""


def reads_data(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `_reading`; it gets them together, as `reading`."""
    own, shared = introspection.signature(command), introspection.signature(_reading)

    @functools.wraps(command)
    def with_options(**given: Any) -> None:
        reading = {name: given.pop(name) for name in shared.parameters}
        command(**given, reading=reading)

    kept = [parameter for name, parameter in own.parameters.items() if name != "reading"]
    keyword_only = [
        parameter.replace(kind=parameter.KEYWORD_ONLY) for parameter in (*kept, *shared.parameters.values())
    ]
    with_options.__signature__ = own.replace(parameters=keyword_only)  # type: ignore[attr-defined]
    with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in keyword_only}
    return with_options


def main() -> NoReturn:
    """The `tuner` command: mistakes are lines on stderr and exit code 2, never a traceback."""
    try:
        code = app(sys.argv[1:] or ["--help"], standalone_mode=False)
        sys.stdout.flush()
    except UserError as error:
        for mistake in error.mistakes:
            print(f"error: {mistake}", file=sys.stderr)
        sys.exit(EXIT_MISTAKE)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:  # whoever read has gone, as `head` does; what is still buffered must not be written at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_FAILED)
    except Exception as error:
        if hasattr(error, "format_message"):  # typer's own: an unknown option, a missing argument
            asked = getattr(getattr(error, "ctx", None), "command_path", "tuner")
            message = error.format_message().replace("Value error, ", "").rstrip(".")
            print(f"error: {message}; see `{asked} --help`", file=sys.stderr)
            sys.exit(EXIT_MISTAKE)
        raise
    sys.exit(code or 0)


@app.command()
@reads_data
def search(
    space: Space,
    data: Data,
    name: Annotated[str | None, typer.Option(help="default: the space's name and the time")] = None,
    results: Results = DEFAULT_RESULTS,
    trials: Annotated[int | None, typer.Option(help="with the baseline; default: the space's budget")] = None,
    hours: Annotated[float | None, typer.Option(help="wall-clock limit")] = None,
    seed: Annotated[int, typer.Option(help="keys the sampler")] = 0,
    top: Annotated[int, typer.Option("--top", help="best trials written to top/ and scored on test")] = 3,
    workers: Annotated[int | None, typer.Option(help="trials at once; default: as CPUs and GPUs allow")] = None,
    cpus_per_trial: Annotated[float, typer.Option(help="a share is allowed")] = 1.0,
    gpus_per_trial: Annotated[float | None, typer.Option(help="a share is allowed; default: 1 if any")] = None,
    threads_per_trial: Annotated[int, typer.Option(help="CPU threads of torch; part of the result")] = 1,
    offline: Offline = False,
    *,
    reading: dict[str, Any],
) -> None:
    """Search a space on labelled images; ends with the leaderboard."""
    from tuner.config import SearchConfig, parse_options
    from tuner.live import live_progress
    from tuner.report.leaderboard import to_markdown
    from tuner.run import run_search
    from tuner.store import Store

    config = parse_options(
        SearchConfig,
        name=name or f"{Path(space).stem}-{datetime.now():%Y%m%d-%H%M%S}",
        space=space,
        data={"path": data.absolute(), **reading},
        trials=trials,
        hours=hours,
        seed=seed,
        top_k=top,
        resources={
            "workers": workers,
            "cpus_per_trial": cpus_per_trial,
            "gpus_per_trial": gpus_per_trial,
            "threads_per_trial": threads_per_trial,
        },
        results=results,
        offline=offline,
    )
    folder = results / config.name
    try:
        with live_progress() as progress:
            store = run_search(config, progress.hear)
    except KeyboardInterrupt:
        kept = f"what finished is in {folder}" if folder.exists() else "nothing had begun"
        print(f"interrupted; {kept}", file=sys.stderr)
        raise

    record = Store(folder).record()
    print(f"\n{to_markdown(record, top=SHOWN_AT_THE_END, origin=False)}")
    best = f"best config: {store.best_yaml}   " if record.best else ""
    print(f"{best}all trials and how they were made: {store.leaderboard_md}")
    if record.best is None:
        raise typer.Exit(EXIT_FAILED)


@app.command()
@reads_data
def check(
    space: Space,
    data: Annotated[Path | None, typer.Option("--data", help="also prove the data, and the space against them")] = None,
    offline: Offline = False,
    as_json: AsJson = False,
    *,
    reading: dict[str, Any],
) -> None:
    """Find every mistake of a space (and its data) without running anything; downloads missing weights."""
    from tuner.config import DataConfig, parse_options
    from tuner.proving import prove_all

    config = parse_options(DataConfig, path=data.absolute(), **reading) if data else None
    try:
        proved = prove_all(space, config, download=not offline)
    except UserError as error:
        if not as_json:
            raise
        print(json.dumps({"ok": False, "mistakes": error.mistakes}, indent=1))
        raise typer.Exit(EXIT_MISTAKE) from None
    if as_json:
        print(json.dumps({"ok": True, "mistakes": []}, indent=1))
        return
    found = proved.space
    size = found.size()
    count = "" if size is None else f", {size} combinations"
    print(f"{found.name}: {len(found.axes)} axes{count}, {found.trials()} trials, {', '.join(found.backbones())}")
    if proved.data:
        sizes = ", ".join(f"{name} {count}" for name, count in proved.data.split_sizes.items())
        print(f"{data}: {proved.data.inspection.layout}")
        print(f"{proved.data.task}, {len(proved.data.labels)} labels; images: {sizes}")
    print("ok")


@app.command()
def spaces() -> None:
    """List the spaces that ship."""
    from search_spaces.shipped import shipped_spaces

    shipped = shipped_spaces()
    _print_table(["space", "axes", "about"], [[space.name, str(space.axes), space.about] for space in shipped])


@app.command()
def backbones(as_json: AsJson = False) -> None:
    """List the backbones: blocks, parameters, input size, where the weights come from and whether they are here."""
    from dataclasses import asdict

    from trainable.backbones import BACKBONES
    from trainable.weights import find_weights

    here = {name: find_weights(name) for name in BACKBONES}
    if as_json:
        listed = [
            {**asdict(facts), "weights": str(w.path) if (w := here[name]) else None}
            for name, facts in BACKBONES.items()
        ]
        print(json.dumps(listed, indent=1))
        return
    rows = [
        [
            name,
            str(facts.blocks),
            f"{(facts.parameters or 0) / 1e6:.1f} M",
            str(facts.input_size),
            facts.source,
            "here" if here[name] else "missing",
        ]
        for name, facts in BACKBONES.items()
    ]
    rows.append(["timm:<name>", "", "", "", "timm", ""])
    _print_table(["backbone", "blocks", "parameters", "input px", "weights from", "weights"], rows)


@app.command()
def weights(
    space: Annotated[str, typer.Argument(help="a space; or `all` for every backbone")] = "default",
    download: Annotated[bool, typer.Option("--download", help="fetch what is missing")] = False,
) -> None:
    """List a space's pretrained weights and where they are, or fetch them; exit code 2 when any is missing."""
    from search_spaces.space import load_space
    from trainable.backbones import BACKBONES
    from trainable.weights import find_weights, remedy, weights_folder
    from tuner.proving import provide_weights

    wanted = tuple(BACKBONES) if space == "all" else load_space(space).pretrained_backbones()
    if download:
        provide_weights(wanted, download=True)
    found = {name: find_weights(name) for name in wanted}
    rows = [[name, str(w.path) if w else f"missing: {remedy(name)}"] for name, w in found.items()]
    _print_table(["backbone", "weights"], rows)
    print(f"weights folder: {weights_folder()} (set THAW_WEIGHTS to change it)")
    if not all(found.values()):
        raise typer.Exit(EXIT_MISTAKE)


@app.command()
@reads_data
def inspect(
    data: Annotated[Path, typer.Argument(help="folder of class or split folders, or a CSV or Parquet manifest")],
    as_json: AsJson = False,
    *,
    reading: dict[str, Any],
) -> None:
    """Look at data as a search would: layout, problems row by row, sizes, class balance, co-occurrence."""
    from tuner.config import DataConfig, parse_options
    from tuner.preparation import examine

    examined = examine(parse_options(DataConfig, path=data, **reading))
    if as_json:
        print(json.dumps({**examined.inspection.to_json(), "left_out": examined.left_out}, indent=1))
    else:
        print("\n".join(examined.inspection.lines()))
        for what, why in examined.left_out.items():
            print(f"left out: {what}: {why}")
    if examined.inspection.errors:
        raise typer.Exit(EXIT_MISTAKE)


@app.command()
def train(
    file: Annotated[Path, typer.Argument(help="best.yaml, a file of top/, or a bare config")],
    data: Annotated[Path | None, typer.Option("--data", help="default: as the file says")] = None,
    out: Annotated[Path | None, typer.Option(help="new folder for checkpoints; default: ./<file>-trained")] = None,
    verify: Annotated[bool, typer.Option("--verify", help="exit code 1 unless the result is the same")] = False,
    objective: Annotated[str | None, typer.Option(help="metric for a bare config")] = None,
    split: Annotated[str | None, typer.Option(help="for a bare config")] = None,
) -> None:
    """Train one config again: same data, seeds and threads give the same score."""
    from trainable.weights import require_weights
    from tuner.rerun import TOLERANCE, read_rerun, run_again

    rerun = read_rerun(file, data, objective, split)
    if verify and rerun.expected is None:
        raise UserError(f"{file}: --verify needs a file with a result, such as best.yaml")
    found = require_weights([rerun.config.backbone])[rerun.config.backbone] if rerun.config.pretrained else None
    folder = out or Path(f"{file.stem}-trained")
    from trainable.train import DivergedError

    def tell(report: Any) -> None:
        print(
            f"epoch {report.epoch}: {rerun.objective.metric} {report.value:.4f} (best {report.best_value:.4f}), "
            f"train loss {report.train_loss:.4f}, lr {report.lr:.2e}, {report.seconds:.0f} s",
            flush=True,
        )

    try:
        outcome = run_again(rerun, folder, found, tell)
    except DivergedError as error:
        print(f"error: {error}; try a lower learning rate", file=sys.stderr)
        raise typer.Exit(EXIT_FAILED) from None
    print(f"{rerun.objective.metric} {outcome.value:.6f} at epoch {outcome.best_epoch}; model in {folder}")
    if verify:
        verdict = "verified" if outcome.verified else "NOT the same"
        print(
            f"{verdict}: the file says {rerun.expected:.6f}, difference {outcome.difference:.2e} (allowed {TOLERANCE})"
        )
        if not outcome.verified:
            raise typer.Exit(EXIT_FAILED)


@app.command()
def leaderboard(
    name: Name,
    results: Results = DEFAULT_RESULTS,
    format: Annotated[Literal["md", "csv", "json"], typer.Option()] = "md",
    top: Annotated[int | None, typer.Option(min=1, help="only the first rows (and the baseline's)")] = None,
    out: Annotated[Path | None, typer.Option(help="write to a new file instead of printing")] = None,
) -> None:
    """Print a search's leaderboard, finished or not."""
    from tuner.report.leaderboard import FORMATS
    from tuner.run import load_results

    text = FORMATS[format](load_results(name, results), top)
    if out is None:
        print(text, end="")
        return
    try:
        with out.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UserError(f"--out {out}: exists, and nothing is overwritten; give another file") from None
    except OSError as error:
        raise UserError(f"--out {out}: cannot be written ({error.strerror}); give another file") from None


@app.command()
def show(
    name: Name,
    trial: Annotated[str | None, typer.Argument(help="such as t0007; none: the search itself")] = None,
    results: Results = DEFAULT_RESULTS,
    as_json: AsJson = False,
) -> None:
    """Show a search, or one trial with its config, curve and per-label scores."""
    from tuner.report.shown import search_facts, trial_facts
    from tuner.run import load_results

    record = load_results(name, results)
    facts = search_facts(record) if trial is None else trial_facts(record, trial)
    if as_json:
        print(json.dumps(facts, indent=1))
    else:
        from search_spaces.document import write_yaml

        print(write_yaml(facts), end="")


@app.command()
def ls(results: Results = DEFAULT_RESULTS, as_json: AsJson = False) -> None:
    """List the searches of a results folder."""
    from tuner.report import table
    from tuner.report.shown import search_facts
    from tuner.store import list_searches

    listed = [search_facts(store.record()) for store in list_searches(results)]
    if as_json:
        print(json.dumps(listed, indent=1))
        return
    if not listed:
        print(f"no searches in {results}")
        return
    _print_table(
        ["search", "status", "trials", "objective", "best", "started"],
        [
            [
                *(str(facts[key]) for key in ("name", "status", "finished", "objective")),
                table.metric(facts["best_value"]),
                str(facts["started"]),
            ]
            for facts in listed
        ],
    )


@app.command()
def predict(
    name: Name,
    images: Annotated[list[Path], typer.Argument(help="image files, or folders of them")],
    results: Results = DEFAULT_RESULTS,
    trial: Annotated[str | None, typer.Option(help="default: the best")] = None,
    format: Annotated[Literal["csv", "json"], typer.Option()] = "csv",
) -> None:
    """Label images by a search's best model: thresholds applied, probabilities beside."""
    from tuner.report.predicted import FORMATS, image_files
    from tuner.result import load

    model = load(name, results).model(trial)
    print(FORMATS[format](model.predict(image_files(images)), model.labels), end="")


def _print_table(headers: list[str], rows: list[list[str]]) -> None:
    from tabulate import tabulate

    print(tabulate(rows, headers, tablefmt="simple", disable_numparse=True))


if __name__ == "__main__":
    main()
