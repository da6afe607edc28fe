"""docs/spaces.md: its fragments run, and it names every field there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from search_spaces.axes import AXES
from search_spaces.check import prove
from search_spaces.document import parse_yaml
from search_spaces.fields import CONFIG_FIELDS
from search_spaces.schedulers import Asha, OneEpoch, PausingAsha
from search_spaces.space import Budget, Space, read_space

PAGE = (Path(__file__).parents[2] / "docs" / "spaces.md").read_text(encoding="utf-8")
FRAGMENTS = re.findall(r"```(yaml|python)\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("text", [text for kind, text in FRAGMENTS if kind == "yaml"])
def test_yaml_fragments_are_valid_spaces(text: str) -> None:
    assert prove(read_space(parse_yaml(text, "docs/spaces.md"))) == []


@pytest.mark.parametrize("text", [text for kind, text in FRAGMENTS if kind == "python"])
def test_python_fragments_run(text: str) -> None:
    exec(compile(text, "docs/spaces.md", "exec"), {})


def test_every_field_is_named() -> None:
    named = set(re.findall(r"`([a-z_.]+)`", PAGE))
    assert set(CONFIG_FIELDS) <= named
    assert set(Space.model_fields) <= named
    assert {*Asha.model_fields, *PausingAsha.model_fields, *OneEpoch.model_fields, *Budget.model_fields} - {
        "kind"
    } <= named
    assert all(f"{{{kind}: [" in PAGE for kind in AXES)
