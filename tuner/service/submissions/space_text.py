"""Whether a text is a space, found by a process of its own: texts can be made that take long to read.

    python -m tuner.service.submissions.space_text SPACE.yaml OVERRIDES

prints the mistakes as a JSON list.
"""

from __future__ import annotations

import json
import sys

from search_spaces.overrides import Overrides, override
from search_spaces.space import load_space
from trainable.errors import UserError

PROGRAM = (sys.executable, "-m", "tuner.service.submissions.space_text")


def mistakes_of(space: str, overrides: str) -> list[str]:
    """What is wrong with the space in a file after values of it are replaced, a line each."""
    try:
        override(load_space(space), Overrides.model_validate_json(overrides))
    except UserError as error:
        return list(error.mistakes)
    return []


if __name__ == "__main__":
    print(json.dumps(mistakes_of(*sys.argv[1:])))
