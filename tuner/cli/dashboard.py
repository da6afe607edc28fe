"""optuna-dashboard beside a search."""

from typing import Annotated

import typer

from tuner.cli.app import app
from tuner.cli.options import DEFAULT_RESULTS, Name, Results


@app.command()
def dashboard(
    name: Name,
    results: Results = DEFAULT_RESULTS,
    port: Annotated[int, typer.Option(min=0, max=65535, help="on this machine; 0: any that is free")] = 8080,
) -> None:
    """Show a search, while it runs or later, in optuna-dashboard: values, curves, importances. Ctrl-C ends it."""
    from tuner.ray_backend.dashboard import dashboard_server, study_of
    from tuner.store import Store

    store = Store.open(name, results)
    with study_of(store) as study, dashboard_server(study, port) as server:
        print(f"search {store.name}: http://127.0.0.1:{server.server_port} (Ctrl-C ends it)", flush=True)
        server.serve_forever()
