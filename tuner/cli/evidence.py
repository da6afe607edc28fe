"""What searches say side by side and over time."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from trainable.errors import UserError
from tuner.cli.app import app
from tuner.cli.options import DEFAULT_RESULTS, Lang, Name, Results


@app.command()
def compare(
    one: Annotated[str, typer.Argument(metavar="A", help="a search's name or folder, a best.yaml or a file of top/")],
    other: Annotated[str, typer.Argument(metavar="B", help="likewise; changes are B's from A")],
    force: Annotated[bool, typer.Option("--force", help="show also what cannot be ranked")] = False,
    results: Results = DEFAULT_RESULTS,
    format: Annotated[Literal["md", "json"], typer.Option()] = "md",
    lang: Lang = None,
) -> None:
    """Put two searches, or trials of them, side by side: scores, configs, and what else differed."""
    from tuner.report import comparison
    from tuner.report.comparison_formats import FORMATS

    print(FORMATS[format](comparison.compare(one, other, results, force, lang)), end="")


@app.command()
def note(
    name: Name,
    text: Annotated[str, typer.Argument(help="what you saw; `worked: ...` and `next: ...` have a place of their own")],
    trial: Annotated[str | None, typer.Option(help="the trial that it is about, such as t0007")] = None,
    results: Results = DEFAULT_RESULTS,
) -> None:
    """Write a remark on a search, also while it runs; it goes into JOURNAL.md of the results folder."""
    from tuner.journal import add_note, write_journal
    from tuner.store import Store

    store = Store.open(name, results)
    add_note(store, text, trial)
    print(f"noted in {store.shown(store.notes_jsonl)}")
    write_journal(store.results, store.record().language)


@app.command()
def conclude(
    table: Annotated[
        str, typer.Argument(metavar="TABLE.csv|NAME", help="a CSV file with a row for each run; or a search")
    ],
    metric: Annotated[str | None, typer.Option(help="the table's column to explain; default: its first metric")] = None,
    ignore: Annotated[list[str] | None, typer.Option(help="a column that is no setting; may be repeated")] = None,
    results: Results = DEFAULT_RESULTS,
    lang: Lang = None,
) -> None:
    """Say in words what a table of runs supports, and what it does not."""
    from tuner.conclusions.conclude import conclude_table, conclusions_of
    from tuner.evidence.gathering import gather
    from tuner.store import Store

    if table.lower().endswith(".csv") or Path(table).is_file():
        print(conclude_table(table, metric, ignore or (), lang or "en"), end="")
        return
    if metric is not None or ignore:
        raise UserError("--metric and --ignore read the columns of a CSV file; a search knows its objective and axes")
    from tuner.ray_backend.importance import stored_importances

    store = Store.open(table, results)
    record = store.record().told_in(lang)
    print(conclusions_of(record, gather(store, record), stored_importances(store, record)), end="")
