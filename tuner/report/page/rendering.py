"""The page as one HTML file: nothing in it asks for anything outside of it."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Mapping
from functools import partial
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from tuner.report import table
from tuner.report.page import markdown
from tuner.report.page.content import Page
from tuner.report.page.texts import ENGLISH


def to_html(page: Page, texts: Mapping[str, str] = ENGLISH) -> str:
    """The same page and texts give the same bytes."""
    style, script = _asset("page.css"), _asset("page.js")
    html = (
        _environment()
        .get_template("page.html")
        .render(
            page=page,
            search=page.search,
            t=texts,
            style=Markup(style),
            script=Markup(script),
            policy=_policy(style, script),
            markdown=partial(markdown.to_html, table=texts["table"]),
            inline=markdown.to_inline_html,
        )
    )
    return html.encode("utf-8", "backslashreplace").decode()  # half a surrogate of someone's file name


def _policy(style: str, script: str) -> str:
    """A Content-Security-Policy under which only this style and this script count, and nothing is fetched."""
    rules = {
        "default-src": "'none'",
        "style-src": _hash(style),
        "script-src": _hash(script),
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{what} {allowed}" for what, allowed in rules.items())


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@functools.cache
def _asset(name: str) -> str:
    return (files(__package__) / "templates" / name).read_text(encoding="utf-8")


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(__package__),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"metric": table.metric, "short": table.short}
    return environment
