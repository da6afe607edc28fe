"""What a search will take, before it runs."""

import json
from typing import Annotated, Any

import typer

from tuner.cli.app import app
from tuner.cli.options import AsJson, Data, Plugins, Space, overrides_space, reads_data


@app.command()
@overrides_space
@reads_data
def plan(
    space: Space,
    data: Data,
    trials: Annotated[int | None, typer.Option(help="with the baseline; default: the space's budget")] = None,
    hours: Annotated[float | None, typer.Option(help="wall-clock limit")] = None,
    gpu_hours: Annotated[float | None, typer.Option(help="limit of all trials' GPU time together")] = None,
    workers: Annotated[int | None, typer.Option(help="trials at once; default: as CPUs and GPUs allow")] = None,
    cpus_per_trial: Annotated[float, typer.Option(help="a share is allowed")] = 1.0,
    gpus_per_trial: Annotated[float | None, typer.Option(help="a share is allowed; default: as it needs")] = None,
    threads_per_trial: Annotated[int, typer.Option(help="CPU threads of torch")] = 1,
    plugin: Plugins = None,  # noqa: ARG001  (loaded as it is read)
    as_json: AsJson = False,
    *,
    reading: dict[str, Any],
    overrides: dict[str, Any],
) -> None:
    """Say what a search will take here: epochs, hours, disk, memory; backbones are measured for seconds each."""
    from tuner.config import SearchConfig, parse_options
    from tuner.planning.plan import plan_search
    from tuner.planning.told import to_data, told

    config = parse_options(
        SearchConfig,
        name="plan",
        space=space,
        data={"path": data.absolute(), **reading},
        overrides=overrides,
        trials=trials,
        hours=hours,
        gpu_hours=gpu_hours,
        resources={
            "workers": workers,
            "cpus_per_trial": cpus_per_trial,
            "gpus_per_trial": gpus_per_trial,
            "threads_per_trial": threads_per_trial,
        },
    )
    found = plan_search(config)
    print(json.dumps(to_data(found), indent=1) if as_json else told(found))
