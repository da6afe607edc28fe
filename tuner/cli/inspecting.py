"""Looking at data before a search, and at their labels after one."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trainable.errors import UserError
from tuner.cli.app import EXIT_MISTAKE, app
from tuner.cli.options import DEFAULT_RESULTS, AsJson, Results, reads_data
from tuner.cli.printing import print_table

if TYPE_CHECKING:
    from tuner.evidence.suspected import Suspicions
    from tuner.preparation import Examined
    from tuner.store import Store

SHOWN_LABELS = 20


@app.command()
@reads_data
def inspect(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA|NAME",
            help="folder of class or split folders, or a CSV or Parquet manifest; or a search, for its labels",
        ),
    ],
    results: Results = DEFAULT_RESULTS,
    as_json: AsJson = False,
    *,
    reading: dict[str, Any],
) -> None:
    """Look at data as a search would: problems row by row, duplicates, drift, balance; or at a search's labels."""
    from tuner.config import DataConfig, parse_options
    from tuner.preparation import examine

    config = parse_options(DataConfig, path=Path(data), **reading)
    store = _searched(data, results)
    if store is None:
        _show_data(examine(config), as_json)
        return
    if config != DataConfig(path=Path(data)):
        raise UserError(f"{data}: a search's data were read as it began; leave out the options of reading them")
    _show_labels(store, as_json)


def _searched(given: str, results: str) -> "Store | None":
    """The search that is meant; None where it is data. A path is data unless it is a search's folder."""
    from tuner.storage.place import is_url
    from tuner.store import Store

    here = not is_url(given) and Path(given).exists()
    if here:
        store = Store(Path(given))
        return store if store.home.exists() else None
    try:
        return Store.open(given, results)
    except UserError as error:
        raise UserError(f"{given}: no such file or folder, and {error}") from None


def _show_data(examined: "Examined", as_json: bool) -> None:
    if as_json:
        print(json.dumps({**examined.inspection.to_json(), "left_out": examined.left_out}, indent=1))
    else:
        print("\n".join(examined.inspection.lines()))
        for what, why in examined.left_out.items():
            print(f"left out: {what}: {why}")
    if examined.stopping:
        raise typer.Exit(EXIT_MISTAKE)


def _show_labels(store: "Store", as_json: bool) -> None:
    from dataclasses import asdict

    from tuner.evidence.suspected import suspect_labels
    from tuner.stored_inspection import stored_inspection

    record = store.record()
    found = suspect_labels(store, record)
    if as_json:
        print(json.dumps({**stored_inspection(store), "suspected_labels": asdict(found)}, indent=1))
        return
    for warning in record.data.get("warnings", ()):
        print(f"warning: {warning}")
    print(_told(found))
    if found.labels:
        rows = [
            [one.image, one.given or "(missing)", one.suggested or "(none)", f"{one.confidence:.3f}"]
            for one in found.labels[:SHOWN_LABELS]
        ]
        print_table(["image", "label", "rather", "confidence in it"], rows)


def _told(found: "Suspicions") -> str:
    by = f"the mean of {', '.join(found.trials)}"
    where = f"{found.folds} folds, {found.images} images" if found.folds else f"{found.images} validation images"
    more = f"the first {SHOWN_LABELS}, all by --json" if len(found.labels) > SHOWN_LABELS else "look at each"
    return f"{len(found.labels)} suspected labels, by {by} on {where}; least confident first, {more}:"
