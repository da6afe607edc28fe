"""Options and arguments that several commands share."""

import functools
import inspect as introspection
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from trainable.errors import UserError
from trainable.task import TaskChoice
from tuner.wording.language import Language

Layout = Literal["auto", "folders", "split_folders", "class_column", "labels_column", "indicator_columns"]
Space = Annotated[str, typer.Argument(help="a shipped space's name (see `tuner spaces`) or a YAML file")]
Name = Annotated[str, typer.Argument(help="a search's name, its folder or its URL")]
Results = Annotated[
    str, typer.Option("--results", envvar="THAW_RESULTS", help="folder of all searches, or a URL such as s3://...")
]
AsJson = Annotated[bool, typer.Option("--json", help="machine-readable output")]
Data = Annotated[Path, typer.Option("--data", help="folder of class or split folders, or a CSV or Parquet manifest")]
Address = Annotated[
    str | None,
    typer.Option(metavar="auto|HOST:PORT", help="run on this Ray cluster; default: RAY_ADDRESS, or this machine alone"),
]
Notify = Annotated[
    list[str] | None,
    typer.Option(envvar="THAW_NOTIFY", metavar="URL|FILE", help="tell there how it ends; repeatable; see apprise"),
]
Lang = Annotated[
    Language | None,
    typer.Option("--lang", envvar="THAW_LANG", help="of tables, conclusions and pages; default: the search's own"),
]
Offline = Annotated[bool, typer.Option("--offline", help="never download pretrained weights")]


def _load(files: list[Path] | None) -> list[Path] | None:
    if files:
        from tuner.plugins import load_plugins

        load_plugins(files)
    return files


Plugins = Annotated[
    list[Path] | None,
    typer.Option("--plugin", callback=_load, help="Python file that adds backbones, heads, losses, metrics, augments"),
]
"""loaded as the option is read, so that whatever the command then imports knows what it adds"""

DEFAULT_RESULTS = "results"


def _reading(
    *,
    task: Annotated[TaskChoice, typer.Option(help="what is told of an image")] = "auto",
    layout: Annotated[Layout, typer.Option(help="how the data are laid out")] = "auto",
    image_column: Annotated[str | None, typer.Option(help="manifest column of image paths")] = None,
    label_column: Annotated[str | None, typer.Option(help="manifest column of labels")] = None,
    labels_separator: Annotated[str | None, typer.Option(help="what separates labels in a cell")] = None,
    split: Annotated[
        str | None,
        typer.Option(help="train/val/test or train/val; the data's own wins; default: the space's, or 70/15/15"),
    ] = None,
    drop_rare_labels: Annotated[int | None, typer.Option(help="leave out labels with fewer positives")] = None,
    skip_unreadable: Annotated[bool, typer.Option("--skip-unreadable", help="leave out broken images")] = False,
    strict_data: Annotated[
        bool, typer.Option("--strict-data", help="stop at warnings as well: duplicates across splits, drift, ...")
    ] = False,
    data_seed: Annotated[int, typer.Option(help="keys split and augmented views")] = 0,
) -> None:
    """The options of every command that reads data; their names are DataConfig's fields."""


def _overriding(
    *,
    backbone: Annotated[
        list[str],
        typer.Option(metavar="[OLD=]NEW", help="a backbone in another's place; repeatable", default_factory=list),
    ],
    image_size: Annotated[
        list[str], typer.Option(metavar="[OLD=]NEW", help="other pixels a side; repeatable", default_factory=list)
    ],
    epochs: Annotated[
        list[str],
        typer.Option(metavar="[OLD=]NEW", help="other epochs, stages scaled to them; repeatable", default_factory=list),
    ],
    set: Annotated[
        list[str],
        typer.Option(metavar="FIELD=VALUE", help="another fixed value; repeatable", default_factory=list),
    ],
    objective: Annotated[str | None, typer.Option(help="another metric to rank by, such as f2_macro")] = None,
) -> None:
    """The options of every command that overrides values of a space; their names are Overrides' fields."""


READING, OVERRIDING = (tuple(introspection.signature(sharing).parameters) for sharing in (_reading, _overriding))


def reads_data(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `_reading`; it gets them together, as `reading`."""
    return _with_options(command, _reading, "reading")


def overrides_space(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `_overriding`; it gets them together, as `overrides`."""
    return _with_options(command, _overriding, "overrides")


def _with_options(command: Callable[..., None], sharing: Callable[..., None], taken_as: str) -> Callable[..., None]:
    own, shared = introspection.signature(command), introspection.signature(sharing)

    @functools.wraps(command)
    def with_options(**given: Any) -> None:
        together = {name: given.pop(name) for name in shared.parameters}
        command(**given, **{taken_as: together})

    kept = (parameter for name, parameter in own.parameters.items() if name != taken_as)
    return signed(with_options, *kept, *shared.parameters.values())


def signed(command: Callable[..., None], *parameters: introspection.Parameter) -> Callable[..., None]:
    """The command, with these parameters for Typer to read, whatever it is written with."""
    by_name = [parameter.replace(kind=parameter.KEYWORD_ONLY) for parameter in parameters]
    command.__signature__ = introspection.Signature(by_name)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in by_name}
    return command


def added(option: str, number: str | None) -> int | None:
    """What `+20` adds."""
    if number is None:
        return None
    if not number.removeprefix("+").isdecimal() or not int(number):
        raise UserError(f"{option} {number!r}: must be a number to add, such as +20")
    return int(number)


def numbers(option: str, text: str | None) -> list[float]:
    """Numbers with commas between them."""
    try:
        return [float(part) for part in text.split(",")] if text else []
    except ValueError:
        raise UserError(f"{option} {text!r}: must be numbers with commas between them, such as 0.25,0.5,1") from None
