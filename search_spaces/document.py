"""YAML files that people write, read with the place of everything in them, so that a mistake names its line.

YAML 1.2: `1e-3` is a number, `no` is text. Refused: duplicate keys, tags, merge keys, several documents in a file.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, ReusedAnchorWarning, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.representer import SafeRepresenter

from trainable.errors import UserError

Position = tuple[int, int]
"""line and column, both from 1"""

MAX_BYTES = 1_000_000
MAX_VALUES = 100_000
"""counted after aliases are expanded: nine lines of aliases can otherwise stand for a billion values"""
MAX_DEPTH = 50

_TAG = "tag:yaml.org,2002:"
_PLAIN = re.compile(r"[\w.+-][\w.%/+-]*( [\w.%/+-]+)*")
_OTHER_VERSION = re.compile(r"^%YAML\s+(?!1\.2\b)", re.MULTILINE)


@dataclass(frozen=True)
class Document:
    """A file's plain data and where each part of it stands.

    A place is the same however its path is cut: `["head", "width"]` and `["head.width"]` both find the key in
    `head: {width: 64}` and the one in `head.width: 64`.
    """

    name: str
    """the file as its reader named it; opens every mistake"""
    text: str
    data: dict[str, Any]
    """dicts, lists, text, numbers, booleans and None; keys are text as written"""
    _positions: Mapping[str, Position] = field(repr=False)

    def position(self, path: Sequence[str | int]) -> Position:
        """Line and column of a key or list item, or of the nearest enclosing part that is in the file."""
        dotted = _dotted(path)
        while dotted and dotted not in self._positions:
            dotted = dotted.rpartition(".")[0]
        return self._positions.get(dotted, (1, 1))

    def mistake(self, path: Sequence[str | int], text: str, at: Sequence[str | int] | None = None) -> str:
        """`file:line:column dotted.path: text`; `at` is the place where it stands, if that is not the path."""
        line, column = self.position(path if at is None else at)
        return _at(self.name, line, column, f"{_dotted(path)}: {text}" if path else text)


def read_yaml(path: Path | str) -> Document:
    """The document in a file.

    Raises:
        UserError: it cannot be read, is over 1 MB, is not UTF-8, or is not YAML of keys and values.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    if len(content) > MAX_BYTES:
        raise UserError(f"{path}: is over {MAX_BYTES:,} bytes, more than any file of settings needs; check the path")
    try:
        return parse_yaml(content.decode("utf-8-sig"), str(path))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}:{line}:1 is not UTF-8 text; save the file as UTF-8") from None


def parse_yaml(text: str, name: str) -> Document:
    """The document in a text; `name` opens its mistakes.

    Raises:
        UserError: as `read_yaml`, every duplicate key and tag at once.
    """
    if len(text) > MAX_BYTES:
        raise UserError(f"{name}: is over {MAX_BYTES:,} characters, more than any file of settings needs")
    if version := _OTHER_VERSION.search(text):
        line = text.count("\n", 0, version.start()) + 1
        raise UserError(_at(name, line, 1, "files are read as YAML 1.2; remove the %YAML line"))
    root = _composed(text, name)
    if not isinstance(root, MappingNode):
        found = "is empty" if root is None else "is not a mapping"
        raise UserError(_at(name, 1, 1, f"{found}: lines of `key: value` are expected"))
    reading = _Reading(name)
    data = reading.value(root, ())
    if reading.mistakes:
        raise UserError(*reading.mistakes)
    return Document(name, text, data, reading.positions)


class _Representer(SafeRepresenter):
    """Quotes all but plain words: ruamel writes some texts (`:a` as a key in a flow mapping) that it cannot read."""

    def represent_text(self, text: str) -> ScalarNode:
        return self.represent_scalar(f"{_TAG}str", text, style=None if _PLAIN.fullmatch(text) else '"')

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


_Representer.add_representer(str, _Representer.represent_text)


def write_yaml(data: Mapping[str, Any]) -> str:
    """Plain data as YAML that `parse_yaml` reads back equal: keys in the order given, innermost lists on one line."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Representer = _Representer
    yaml.default_flow_style = None
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # ruamel annotates it None
    yaml.allow_unicode = True
    yaml.width = 1_000_000  # a folded line would break a flow list in the middle
    stream = io.StringIO()
    yaml.dump(dict(data), stream)
    return stream.getvalue()


def _composed(text: str, name: str) -> Node | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ReusedAnchorWarning)  # YAML allows it: the latest anchor counts
            node: Node | None = YAML(typ="safe", pure=True).compose(text)
            return node
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        said = " ".join(str(part) for part in (error.context, error.problem) if part)
        raise UserError(_at(name, line, column, f"is not valid YAML: {said}{_remedy(said)}")) from None
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        column = error.position - text.rfind("\n", 0, error.position)
        raise UserError(_at(name, line, column, f"character {error.character!r} is not allowed; remove it")) from None
    except RecursionError:
        raise UserError(f"{name}: is nested more than {MAX_DEPTH} levels deep; settings never are") from None
    except (YAMLError, ValueError) as error:
        raise UserError(f"{name}: is not valid YAML: {error}") from None


def _remedy(said: str) -> str:
    if "\\t" in said:
        return "; indent with spaces, not tabs"
    if "another document" in said:
        return "; keep one document a file"
    if "mapping values are not allowed" in said:
        return "; quote a text that contains ': '"
    return "; check indentation, brackets and quotes here and on the line above"


class _Reading:
    """Turns nodes into plain data, noting positions and mistakes on the way."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.positions: dict[str, Position] = {}
        self.mistakes: list[str] = []
        self._values = 0

    def value(self, node: Node, path: tuple[str | int, ...]) -> Any:
        self._values += 1
        if len(path) > MAX_DEPTH:
            raise UserError(self._said(node, path[:3], f"is nested more than {MAX_DEPTH} levels deep"))
        if self._values > MAX_VALUES:
            raise UserError(self._said(node, path, f"more than {MAX_VALUES:,} values with aliases written out"))
        tag = str(node.tag)
        if isinstance(node, MappingNode) and tag == f"{_TAG}map":
            return self._mapping(node, path)
        if isinstance(node, SequenceNode) and tag == f"{_TAG}seq":
            return [self._item(item, (*path, index)) for index, item in enumerate(node.value)]
        kind = tag.removeprefix(_TAG)
        if isinstance(node, ScalarNode) and kind in _SCALARS:
            return self._scalar(node, kind, path)
        self.mistakes.append(self._said(node, path, f"tag {_short(tag)!r} is not allowed; remove it"))
        return None

    def _mapping(self, node: MappingNode, path: tuple[str | int, ...]) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key, item in node.value:
            if not isinstance(key, ScalarNode):
                self.mistakes.append(self._said(key, path, "a key must be text, not a list or mapping"))
            elif key.tag == f"{_TAG}merge":
                self.mistakes.append(self._said(key, path, "merge keys (<<) are not YAML 1.2; write the fields out"))
            elif key.value in data:
                line, _ = self.positions[_dotted((*path, key.value))]
                text = f"is given twice (first on line {line}); keep one"
                self.mistakes.append(self._said(key, (*path, key.value), text))
            else:
                place = (*path, key.value)
                self.positions.setdefault(_dotted(place), _start(key))
                data[key.value] = self.value(item, place)
        return data

    def _item(self, node: Node, path: tuple[str | int, ...]) -> Any:
        self.positions.setdefault(_dotted(path), _start(node))
        return self.value(node, path)

    def _scalar(self, node: ScalarNode, kind: str, path: tuple[str | int, ...]) -> Any:
        try:
            return _SCALARS[kind](str(node.value))
        except ValueError:
            self.mistakes.append(self._said(node, path, f"{str(node.value)[:40]!r} cannot be read as {kind}"))
            return None

    def _said(self, node: Node, path: Sequence[str | int], text: str) -> str:
        return _at(self.name, *_start(node), f"{_dotted(path)}: {text}" if path else text)


def _integer(text: str) -> int:
    digits = text.replace("_", "")
    based = digits.lstrip("+-")[:2].lower() in ("0o", "0x", "0b")
    return int(digits, 0 if based else 10)


def _float(text: str) -> float:
    return float(text.replace("_", "").replace(".inf", "inf").replace(".Inf", "inf").replace(".INF", "inf").lower())


_SCALARS: dict[str, Callable[[str], Any]] = {
    "str": str,
    "timestamp": str,
    "value": str,
    "int": _integer,
    "float": lambda text: float("nan") if text.lower() == ".nan" else _float(text),
    "bool": lambda text: text.lower() == "true",
    "null": lambda _: None,
}


def _start(node: Node) -> Position:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _short(tag: str) -> str:
    return "!!" + tag.removeprefix(_TAG) if tag.startswith(_TAG) else tag


def _dotted(path: Sequence[str | int]) -> str:
    return ".".join(map(str, path))


def _at(name: str, line: int, column: int, text: str) -> str:
    return f"{name}:{line}:{column} {text}"
