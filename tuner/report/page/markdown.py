"""The Markdown that tables and conclusions are written in, as HTML; of HTML in it only the characters are shown."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from markupsafe import Markup


class _Renderer(RendererHTML):
    """Headings a level lower, and tables that can be scrolled, by keyboard too."""

    def link_open(self, tokens: Sequence[Token], at: int, options: OptionsDict, env: EnvType) -> str:
        tokens[at].attrSet("rel", "noopener noreferrer")
        return self.renderToken(tokens, at, options, env)

    def table_open(self, tokens: Sequence[Token], at: int, options: OptionsDict, env: EnvType) -> str:
        opened = '<div class="scroll" tabindex="0" role="group" aria-label="{}">'
        return opened.format(Markup.escape(env["table"])) + self.renderToken(tokens, at, options, env)

    def table_close(self, tokens: Sequence[Token], at: int, options: OptionsDict, env: EnvType) -> str:
        return self.renderToken(tokens, at, options, env) + "</div>\n"


@functools.cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}, renderer_cls=_Renderer).enable("table")
    parser.validateLink = _is_web  # type: ignore[method-assign]
    return parser.disable(["image", "autolink"])  # pictures beside a table are not there for whoever was sent the page


def _is_web(url: str) -> bool:
    """Whether a link leads to a web page; others stay the characters that they are."""
    return url.startswith(("https://", "http://"))


def to_html(markdown: str, table: str) -> Markup:
    """Paragraphs, lists, tables; a second-level heading becomes one of the third.

    Args:
        markdown: as the reports write it
        table: what a table is called to those who cannot see it
    """
    env: dict[str, Any] = {"table": table}
    tokens = _parser().parse(markdown, env)
    for at, token in enumerate(tokens):
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1]) + 1, 6)}"
        if token.type == "th_open" and not tokens[at + 1].content:
            token.tag = tokens[at + 2].tag = "td"  # a heading that says nothing is none
    return Markup(_parser().renderer.render(tokens, _parser().options, env))


def to_inline_html(markdown: str) -> Markup:
    """A line without a paragraph of its own."""
    return Markup(_parser().renderInline(markdown))
