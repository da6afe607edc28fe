"""What commands print, wherever they got it from."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trainable.errors import UserError


def print_table(headers: list[str], rows: list[list[str]]) -> None:
    """Rows of texts under their headers."""
    from tabulate import tabulate

    print(tabulate(rows, headers, tablefmt="simple", disable_numparse=True))


def print_searches(searches: Sequence[Mapping[str, Any]], where: object, *, as_json: bool) -> None:
    """Searches by their `search_facts`."""
    from tuner.report import table

    if as_json:
        print(json.dumps(searches, indent=1))
        return
    if not searches:
        print(f"no searches in {where}")
        return
    print_table(
        ["search", "status", "trials", "objective", "best", "started"],
        [
            [
                *(str(facts[key]) for key in ("name", "status", "finished", "objective")),
                table.metric(facts["best_value"]),
                str(facts["started"]),
            ]
            for facts in searches
        ],
    )


def print_facts(facts: Mapping[str, Any], *, as_json: bool) -> None:
    """Facts of a search or a trial, as YAML where they are for people."""
    if as_json:
        print(json.dumps(facts, indent=1))
    else:
        from search_spaces.document import write_yaml

        print(write_yaml(facts), end="")


def print_or_write(text: str, out: Path | None) -> None:
    """Print a text, or write it to a new file.

    Raises:
        UserError: the file exists or cannot be written.
    """
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
