"""HTML as its elements, and a name that would like to be some."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

HOSTILE = '"><img src=x onerror=alert(1)></script><b>|`*&amp;'


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    text: str = ""
    """of itself and all within it"""
    within: list[Element] = field(default_factory=list)
    """all of them, at any depth, in order"""

    def all(self, tag: str) -> list[Element]:
        return [element for element in self.within if element.tag == tag]


class _Parser(HTMLParser):
    _VOID = ("meta", "link", "img", "input", "br", "wbr")

    def __init__(self) -> None:
        super().__init__()
        self.root = Element("", {})
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        for parent in self.open:
            parent.within.append(element)
        if tag not in self._VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self._VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].tag == tag, f"</{tag}> ends <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element.text += data


def parsed(html: str) -> Element:
    """The page; fails where an element is not closed."""
    parser = _Parser()
    parser.feed(html)
    parser.close()
    assert len(parser.open) == 1, parser.open[-1].tag
    return parser.root


def by_id(page: Element, id: str) -> Element:
    (found,) = [element for element in page.within if element.attributes.get("id") == id]
    return found
