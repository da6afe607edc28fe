"""Templates into HTML."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, PrefixLoader

from tuner.report.page import markdown
from tuner.report.page.rendering import environment
from tuner.service.page import told
from tuner.service.page.assets import asset_url
from tuner.service.page.texts import ENGLISH
from tuner.service.page.views.board import MORE_ROWS, key_of


def render(template: str, **names: Any) -> str:
    """A page or a part of one."""
    html = _environment().get_template(template).render(**names)
    return html.encode("utf-8", "backslashreplace").decode()  # half a surrogate of someone's file name


@functools.cache
def _environment() -> Environment:
    report = PrefixLoader({"report": PackageLoader("tuner.report.page")})
    found = environment(ChoiceLoader([PackageLoader(__package__), report]))
    texts: Mapping[str, str] = ENGLISH
    found.globals |= {
        "t": texts,
        "asset": asset_url,
        "key_of": key_of,
        "more_rows": MORE_ROWS,
        "markdown": functools.partial(markdown.to_html, table=texts["table"]),
    }
    found.filters |= {
        "duration": told.duration,
        "when": told.when,
        "ordinal": told.ordinal,
        "count": told.counted,
        "percent": told.percent,
        "inline": markdown.to_inline_html,
    }
    return found
