"""What trackers are still to be shown."""

from typing import Annotated

import typer

from trainable.errors import UserError
from tuner.cli import on_head
from tuner.cli.app import app
from tuner.cli.elsewhere import runs_elsewhere
from tuner.cli.options import DEFAULT_RESULTS, Name, Results


@app.command()
@runs_elsewhere(on_head=on_head.run)
def sync(
    name: Name,
    results: Results = DEFAULT_RESULTS,
    tracking: Annotated[
        str, typer.Option(envvar="THAW_TRACKING", help="auto: trackers that are configured; or some by name")
    ] = "auto",
) -> None:
    """Send trackers what they could not be sent while a search ran."""
    from tuner.closing import refresh_tables
    from tuner.evidence.gathering import Gatherer
    from tuner.store import Store
    from tuner.tracking.syncing import sync_search
    from tuner.tracking.trackers import given_tracking, wanted_trackers

    kinds = wanted_trackers(given_tracking(tracking))
    if not kinds:
        raise UserError(f"--tracking {tracking}: no tracker is configured; see docs/tracking.md")
    store = Store.open(name, results)
    with store.lock("tuner sync"):
        sync_search(store, kinds)
        record = store.record()
        refresh_tables(store, record.top_k, Gatherer(store))
    for kind in kinds:
        print(f"{kind.shown} has all of search {store.name}")
    if record.links.search:
        print(record.links.search)
