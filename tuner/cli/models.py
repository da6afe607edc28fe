"""Training one config again and using a trained model."""

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from trainable.errors import DivergedError, UserError
from tuner.cli.app import EXIT_FAILED, app
from tuner.cli.options import DEFAULT_RESULTS, Name, Plugins, Results

Trial = Annotated[str | None, typer.Option(help="whose model; default: the best trial's")]
IsRetrained = Annotated[bool, typer.Option("--retrained", help="the model that `tuner retrain` made")]


@app.command()
def train(
    file: Annotated[Path, typer.Argument(help="best.yaml, a file of top/, or a bare config")],
    data: Annotated[Path | None, typer.Option("--data", help="default: as the file says")] = None,
    out: Annotated[Path | None, typer.Option(help="new folder; default: ./<its folder>-<file>-trained")] = None,
    verify: Annotated[bool, typer.Option("--verify", help="exit code 1 unless the result is the same")] = False,
    objective: Annotated[str | None, typer.Option(help="metric for a bare config")] = None,
    split: Annotated[str | None, typer.Option(help="for a bare config")] = None,
    plugin: Plugins = None,  # noqa: ARG001  (loaded as it is read)
) -> None:
    """Train one config again: same data, seeds and threads give the same score."""
    from trainable.weights import require_weights
    from tuner.saved_trial import TOLERANCE, read_saved, train_again

    saved = read_saved(file, data, objective, split)
    if verify and saved.expected is None:
        raise UserError(f"{file}: --verify needs a file with a result, such as best.yaml")
    found = require_weights([saved.config.backbone])[saved.config.backbone] if saved.config.pretrained else None
    folder = out or Path(f"{file.absolute().parent.name}-{file.stem}-trained")

    def tell(report: Any) -> None:
        print(
            f"epoch {report.epoch}: {saved.objective.metric} {report.value:.4f} (best {report.best_value:.4f}), "
            f"train loss {report.train_loss:.4f}, lr {report.lr:.2e}, {report.seconds:.0f} s",
            flush=True,
        )

    try:
        outcome = train_again(saved, folder, found, tell)
    except DivergedError as error:
        print(f"error: {error}; try a lower learning rate", file=sys.stderr)
        raise typer.Exit(EXIT_FAILED) from None
    print(f"{saved.objective.metric} {outcome.value:.6f} at epoch {outcome.best_epoch}; model in {folder}")
    if verify:
        verdict = "verified" if outcome.verified else "NOT the same"
        print(
            f"{verdict}: the file says {saved.expected:.6f}, difference {outcome.difference:.2e} (allowed {TOLERANCE})"
        )
        if not outcome.verified:
            raise typer.Exit(EXIT_FAILED)


@app.command()
def retrain(
    name: Name,
    results: Results = DEFAULT_RESULTS,
    trial: Annotated[str | None, typer.Option(help="whose config; default: the best trial's")] = None,
    all_data: Annotated[bool, typer.Option("--all-data", help="on test as well; prints no score")] = False,
    plugin: Plugins = None,  # noqa: ARG001  (loaded as it is read)
) -> None:
    """Train the winner on train and val together, as long as it took in the search, and score it on test once."""
    from trainable.errors import DivergedError
    from tuner.shipping.retraining import retrain_model
    from tuner.store import Store

    store = Store.open(name, results)

    def tell(report: Any) -> None:
        print(
            f"epoch {report.epoch:g}: {report.steps} steps, train loss {report.train_loss:.4f}, "
            f"lr {report.lr:.2e}, {report.seconds:.0f} s",
            flush=True,
        )

    try:
        made = retrain_model(store, trial, all_data=all_data, listen=tell)
    except DivergedError as error:
        print(f"error: {error}; nothing was kept", file=sys.stderr)
        raise typer.Exit(EXIT_FAILED) from None
    print(f"{made.trial} on {' + '.join(made.splits)}: {store.shown(store.folder / made.folder)}; --retrained uses it")
    if made.test:
        record = store.record()
        print(f"test {record.metric} {made.test[record.metric]:.4f}; test was read {record.test_reads} times so far")


@app.command()
def predict(
    name: Annotated[str, typer.Argument(help="a search's name or folder, or an exported model.onnx or model.pt2")],
    images: Annotated[list[Path], typer.Argument(help="image files, or folders of them")],
    results: Results = DEFAULT_RESULTS,
    trial: Trial = None,
    retrained: IsRetrained = False,
    format: Annotated[Literal["csv", "json"], typer.Option()] = "csv",
    plugin: Plugins = None,  # noqa: ARG001  (loaded as it is read)
) -> None:
    """Label images by a search's best model, or an exported one: thresholds applied, probabilities beside."""
    from trainable.exported import is_exported, read_exported
    from tuner.report.predicted import FORMATS, image_files
    from tuner.result import load

    file = Path(name)
    if is_exported(file) and (trial or retrained):
        raise UserError(f"{file}: is one model, so --trial and --retrained choose nothing; leave them out")
    found = image_files(images)
    model = read_exported(file) if is_exported(file) else load(name, results).model(trial, retrained=retrained)
    print(FORMATS[format](model.predict(found), model.labels), end="")


@app.command()
def export(
    name: Name,
    results: Results = DEFAULT_RESULTS,
    trial: Trial = None,
    retrained: IsRetrained = False,
    out: Annotated[Path | None, typer.Option(help="new folder; default: export/<trial> in the search's")] = None,
    plugin: Plugins = None,  # noqa: ARG001  (loaded as it is read)
) -> None:
    """Write a model as ONNX and torch.export files that need no search, checked on real images, with a model card."""
    from tuner.result import load

    result = load(name, results)
    from trainable.export import DisagreementError

    try:
        done = result.export(out, trial, retrained=retrained)
    except DisagreementError as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(EXIT_FAILED) from None
    for file, difference in done.checked.differences.items():
        print(f"{done.folder / file}: differs from torch by at most {difference:.1e} on {done.checked.images} images")
    print(f"{done.folder / 'MODEL_CARD.md'}: what it does, how well, and how to run it")
