"""The page as one HTML file: nothing in it asks for anything outside of it."""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from functools import partial
from importlib.resources import files

from jinja2 import BaseLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from tuner.report import table
from tuner.report.page import markdown
from tuner.report.page.content import Page
from tuner.report.page.texts import TEXTS


def to_html(page: Page) -> str:
    """The same page gives the same bytes."""
    texts = TEXTS[page.search.language]
    style, script = theme() + _asset("page.css"), _asset("page.js")
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


def _breakable(text: str) -> Markup:
    """A text whose long names may be broken at their underscores and dots, not within words or numbers."""
    return Markup(re.sub(r"(?<=[a-z][._])(?=[a-z])", "<wbr>", str(escape(text))))


@functools.cache
def _environment() -> Environment:
    return environment(PackageLoader(__package__))


def environment(loader: BaseLoader) -> Environment:
    """What every page is rendered in: names are texts, and a name that is not there is an error."""
    found = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    found.filters |= {"metric": table.metric, "short": table.short}
    found.filters["breakable"] = _breakable
    return found


def theme() -> str:
    """The style that all pages share: colours by role, tables, looks of lines."""
    return _asset("theme.css")
