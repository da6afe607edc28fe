"""What there is to search with: spaces, backbones, weights."""

import json
from typing import Annotated

import typer

from tuner.cli.app import EXIT_MISTAKE, app
from tuner.cli.options import AsJson
from tuner.cli.printing import print_table


@app.command()
def spaces() -> None:
    """List the spaces that ship."""
    from search_spaces.shipped import shipped_spaces

    shipped = shipped_spaces()
    print_table(["space", "axes", "about"], [[space.name, str(space.axes), space.about] for space in shipped])


@app.command()
def backbones(as_json: AsJson = False) -> None:
    """List the backbones: blocks, parameters, input size, where the weights come from and whether they are here."""
    from dataclasses import asdict

    from trainable.backbones import BACKBONES
    from trainable.weights import find_weights

    here = {name: find_weights(name) for name in BACKBONES}
    if as_json:
        listed = [
            {**asdict(facts), "weights": str(w.path) if (w := here[name]) else None}
            for name, facts in BACKBONES.items()
        ]
        print(json.dumps(listed, indent=1))
        return
    rows = [
        [
            name,
            str(facts.blocks),
            f"{(facts.parameters or 0) / 1e6:.1f} M",
            str(facts.input_size),
            facts.source,
            "here" if here[name] else "missing",
        ]
        for name, facts in BACKBONES.items()
    ]
    rows.append(["timm:<name>", "", "", "", "timm", ""])
    print_table(["backbone", "blocks", "parameters", "input px", "weights from", "weights"], rows)


@app.command()
def weights(
    space: Annotated[str, typer.Argument(help="a space; or `all` for every backbone")] = "default",
    download: Annotated[bool, typer.Option("--download", help="fetch what is missing")] = False,
) -> None:
    """List a space's pretrained weights and where they are, or fetch them; exit code 2 when any is missing."""
    from search_spaces.space import load_space
    from trainable.backbones import BACKBONES
    from trainable.weights import find_weights, remedy, weights_folder
    from tuner.proving import provide_weights

    wanted = tuple(BACKBONES) if space == "all" else load_space(space).pretrained_backbones()
    if download:
        provide_weights(wanted, download=True)
    found = {name: find_weights(name) for name in wanted}
    rows = [[name, str(w.path) if w else f"missing: {remedy(name)}"] for name, w in found.items()]
    print_table(["backbone", "weights"], rows)
    print(f"weights folder: {weights_folder()} (set THAW_WEIGHTS to change it)")
    if not all(found.values()):
        raise typer.Exit(EXIT_MISTAKE)
