"""Data that a server is given a copy of."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trainable.errors import UserError
from tuner.cli import elsewhere
from tuner.cli.app import app
from tuner.cli.elsewhere import Server
from tuner.cli.options import reads_data

if TYPE_CHECKING:
    from tuner.client.answers import DataSet


@app.command()
@reads_data
def upload(
    data: Annotated[Path, typer.Argument(help="a folder with images and their table, or a .zip, .tar or .tar.gz")],
    name: Annotated[str, typer.Option("--name", help="by which searches there name it")],
    server: Server = None,
    *,
    reading: dict[str, Any],
) -> None:
    """Give a server a copy of labelled images, which it inspects; then `tuner search SPACE --data NAME --remote`."""
    with elsewhere.connected(server) as client:
        found = client.upload(name, data, {option: value for option, value in reading.items() if value is not None})
        if found.state != "ready":
            raise UserError(*found.mistakes)
        print(f"data set {name} is at {client.url}: {_described(found)}")
        for problem in (found.told or {}).get("problems", ()):
            print(f"{problem['severity']}: {problem['row']}: {problem['message']}")


def _described(data: "DataSet") -> str:
    told = data.told or {}
    images = ", ".join(f"{split} {count}" for split, count in told.get("split_sizes", {}).items())
    return f"{told.get('task')}, {len(told.get('labels', ()))} labels; images: {images} ({told.get('layout')})"
