"""What searches say side by side and over time."""

from typing import Annotated

import typer

from tuner.cli.app import app
from tuner.cli.options import DEFAULT_RESULTS, Name, Results


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
    print(f"noted in {store.notes_jsonl}")
    write_journal(store.folder.parent)
