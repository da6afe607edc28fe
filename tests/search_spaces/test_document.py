"""YAML with positions: what is read, what is refused, and where a mistake is said to be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces.document import MAX_BYTES, parse_yaml, read_yaml, write_yaml
from trainable.errors import UserError


def refused(text: str) -> list[str]:
    with pytest.raises(UserError) as caught:
        parse_yaml(text, "f.yaml")
    return list(caught.value.mistakes)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("1e-3", 1e-3),
        ("1.0e-5", 1e-5),
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("~", None),
        ("0o17", 15),
        ("010", 10),
        ("1_000", 1000),
        ("2024-01-01", "2024-01-01"),
        ("1:30", "1:30"),
        ("50%", "50%"),
        ("'5'", "5"),
        ("!!str 5", "5"),
        ("-.inf", float("-inf")),
        ("[1, {a: b}]", [1, {"a": "b"}]),
    ],
)
def test_values_are_read_as_yaml_1_2(written: str, read: Any) -> None:
    value = parse_yaml(f"key: {written}", "f.yaml").data["key"]
    assert value == read
    assert type(value) is type(read)


def test_keys_are_text() -> None:
    assert parse_yaml("1: a\ntrue: b\n", "f.yaml").data == {"1": "a", "true": "b"}


def test_positions_count_from_one_and_fall_back_to_the_nearest_parent() -> None:
    document = parse_yaml("a:\n  b.c: {d: [1, 2]}\n  e:\n    - f: 1\n", "f.yaml")
    assert document.position(["a"]) == (1, 1)
    assert document.position(["a", "b.c", "d"]) == (2, 9)
    assert document.position(["a", "b", "c", "d", 1]) == (2, 16)
    assert document.position(["a", "e", 0, "f"]) == (4, 7)
    assert document.position(["a", "e", 0, "missing", "deeper"]) == (4, 7)
    assert document.position(["missing"]) == (1, 1)
    assert document.mistake(["a", "e"], "is odd") == "f.yaml:3:3 a.e: is odd"


def test_aliases_are_written_out() -> None:
    assert parse_yaml("a: &x [1, 2]\nb: *x\n", "f.yaml").data == {"a": [1, 2], "b": [1, 2]}


@pytest.mark.parametrize(
    ("text", "start", "part"),
    [
        ("a: [1,\nb: 2", "f.yaml:2:5 ", "is not valid YAML"),
        ("a:\n\tb: 2", "f.yaml:2:1 ", "spaces, not tabs"),
        ("a: b: c", "f.yaml:1:5 ", "quote a text that contains ': '"),
        ("a: *x", "f.yaml:1:4 ", "undefined alias"),
        ("a: 1\n---\nb: 2", "f.yaml:2:1 ", "keep one document a file"),
        ("a: \x01", "f.yaml:1:4 ", "not allowed"),
        ("", "f.yaml:1:1 ", "is empty"),
        ("- 1", "f.yaml:1:1 ", "is not a mapping"),
        ("[1, 2]: 3", "f.yaml:1:1 ", "a key must be text"),
        ("%YAML 1.1\n---\na: no", "f.yaml:1:1 ", "YAML 1.2"),
        ("a: &a [*a]", "f.yaml:1:4 ", "levels deep"),
        ("a: " + "[" * 2000, "f.yaml", "levels deep"),
        ("a: &a [1, 1]\nb: !!python/object:os.system {}", "f.yaml:2:4 b", "is not allowed"),
        ("a: !!int x", "f.yaml:1:4 a", "cannot be read as int"),
        ("a: 1\n<<: {b: 2}", "f.yaml:2:1 ", "merge keys"),
    ],
)
def test_what_is_no_settings_file_is_refused_in_one_line(text: str, start: str, part: str) -> None:
    (mistake,) = refused(text)
    assert mistake.startswith(start)
    assert part in mistake
    assert "\n" not in mistake


def test_every_duplicate_key_is_named_with_its_first_line() -> None:
    assert refused("a: 1\nb: {c: 1, c: 2}\na: 3\n") == [
        "f.yaml:2:11 b.c: is given twice (first on line 2); keep one",
        "f.yaml:3:1 a: is given twice (first on line 1); keep one",
    ]


def test_a_bomb_of_aliases_is_refused_before_it_is_built() -> None:
    rows = ["a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    rows += [
        f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    ]
    (mistake,) = refused("\n".join(rows))
    assert "more than 100,000 values" in mistake


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    latin, large = tmp_path / "latin.yaml", tmp_path / "large.yaml"
    latin.write_bytes("a: 1\nb: é\n".encode("latin-1"))
    large.write_bytes(b"#" * (MAX_BYTES + 1))
    for path, part in (
        (latin, ":2:1 is not UTF-8"),
        (large, "bytes"),
        (tmp_path, "cannot be read"),
        (tmp_path / "x", "cannot be read"),
    ):
        with pytest.raises(UserError, match=part):
            read_yaml(path)


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert read_yaml(tmp_path / "f.yaml").data == {"a": 1}


SCALARS = st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False) | st.text(max_size=8)
KEYS = st.text("abc1 :#-.%é", min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        KEYS,
        st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3)),
        min_size=1,
        max_size=4,
    )
)
def test_what_is_written_reads_back_equal(data: dict[str, Any]) -> None:
    assert parse_yaml(write_yaml(data), "f.yaml").data == data
