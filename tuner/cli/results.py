"""What searches have found."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from tuner.cli import on_head, on_server
from tuner.cli.app import app
from tuner.cli.elsewhere import runs_elsewhere
from tuner.cli.options import DEFAULT_RESULTS, AsJson, Lang, Name, Results
from tuner.cli.printing import print_facts, print_or_write, print_searches


@app.command()
@runs_elsewhere(on_head=on_head.run, on_server=on_server.LEADERBOARD)
def leaderboard(
    name: Name,
    results: Results = DEFAULT_RESULTS,
    format: Annotated[Literal["md", "csv", "json", "html"], typer.Option(help="html: the page of report.html")] = "md",
    top: Annotated[int | None, typer.Option(min=1, help="only the first rows (and the baseline's)")] = None,
    lang: Lang = None,
    out: Annotated[Path | None, typer.Option(help="write to a new file instead of printing")] = None,
) -> None:
    """Print a search's leaderboard, finished or not."""
    from tuner.evidence.gathering import gather
    from tuner.report.leaderboard import to_csv, to_json, to_markdown
    from tuner.store import Store
    from tuner.stored_conclusions import stored_conclusions

    store = Store.open(name, results)
    own = store.record()
    evidence, record = gather(store, own), own.told_in(lang)
    if format == "md":
        text = to_markdown(record, evidence, top, conclusions=stored_conclusions(store, own, evidence, lang))
    elif format == "html":
        from tuner.report.page.writing import page_html

        text = page_html(store, record, evidence, stored_conclusions(store, own, evidence, lang), top)
    else:
        text = (to_csv if format == "csv" else to_json)(record, evidence, top)
    print_or_write(text, out)


@app.command()
@runs_elsewhere(on_head=on_head.run, on_server=on_server.SHOW)
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
    print_facts(facts, as_json=as_json)


@app.command()
@runs_elsewhere(on_head=on_head.run, on_server=on_server.LS)
def ls(results: Results = DEFAULT_RESULTS, as_json: AsJson = False) -> None:
    """List the searches of a results folder."""
    from tuner.report.shown import search_facts
    from tuner.store import list_searches

    print_searches([search_facts(store.record()) for store in list_searches(results)], results, as_json=as_json)
