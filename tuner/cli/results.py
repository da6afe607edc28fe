"""What searches have found."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from trainable.errors import UserError
from tuner.cli.app import app
from tuner.cli.options import DEFAULT_RESULTS, AsJson, Name, Results, print_table
from tuner.cli.remote import runs_on_head


@app.command()
@runs_on_head
def leaderboard(
    name: Name,
    results: Results = DEFAULT_RESULTS,
    format: Annotated[Literal["md", "csv", "json", "html"], typer.Option(help="html: the page of report.html")] = "md",
    top: Annotated[int | None, typer.Option(min=1, help="only the first rows (and the baseline's)")] = None,
    out: Annotated[Path | None, typer.Option(help="write to a new file instead of printing")] = None,
) -> None:
    """Print a search's leaderboard, finished or not."""
    from tuner.evidence.gathering import gather
    from tuner.report.leaderboard import to_csv, to_json, to_markdown
    from tuner.store import Store

    store = Store.open(name, results)
    record = store.record()
    evidence = gather(store, record)
    if format == "md":
        text = to_markdown(record, evidence, top, conclusions=store.conclusions())
    elif format == "html":
        from tuner.report.page.writing import page_html

        text = page_html(store, record, evidence, store.conclusions(), top)
    else:
        text = (to_csv if format == "csv" else to_json)(record, evidence, top)
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
@runs_on_head
def show(
    name: Name,
    trial: Annotated[str | None, typer.Argument(help="such as t0007; none: the search itself")] = None,
    results: Results = DEFAULT_RESULTS,
    as_json: AsJson = False,
) -> None:
    """Show a search, or one trial with its config, curve and per-label scores."""
    from tuner.evidence.gathering import gather
    from tuner.report.shown import search_facts, trial_facts
    from tuner.store import Store

    store = Store.open(name, results)
    record = store.record()
    facts = search_facts(record) if trial is None else trial_facts(record, trial, gather(store, record))
    if as_json:
        print(json.dumps(facts, indent=1))
    else:
        from search_spaces.document import write_yaml

        print(write_yaml(facts), end="")


@app.command()
@runs_on_head
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
    print_table(
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
