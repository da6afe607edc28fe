"""Labels that are probably one label, spelt in two ways."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence

FEWEST_LETTERS, FEWEST_IF_REPLACED = 6, 8
"""shorter names often differ by one letter: boat, goat, coat; and still when one is replaced: hammer, hamper"""
RARE_SHARE, VERY_RARE_SHARE = 0.2, 0.05
"""a slip of the pen is rarer than the right name: images of one, as a share of the other's; and in a short name"""
FEWEST_IF_VERY_RARE = 4


def spelt_alike(labels: Sequence[str]) -> list[tuple[str, ...]]:
    """Labels that differ by no more than case, accents' encoding, spaces, dashes and underscores, together."""
    alike: dict[str, list[str]] = {}
    for label in labels:
        alike.setdefault(_plain(label), []).append(label)
    return [tuple(names) for names in alike.values() if len(names) > 1]


def _plain(label: str) -> str:
    """Separators go between letters only: 1-2 is not 12, and -1 is not 1."""
    folded = unicodedata.normalize("NFKC", label).casefold().strip()
    joined = re.sub(r"(?<=[^\W\d])[\s_-]+(?=\w)|(?<=\w)[\s_-]+(?=[^\W\d])", "", folded)
    return re.sub(r"\s+", " ", joined).rstrip("_- ")


def misspelt(images: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """A label and the more frequent one that it may be a slip of; `images` is how many images have each label.

    A slip is a letter too many, too few, another one, or two swapped, in a name rare beside the other, the rarer
    the shorter they are; or a plural's s, however frequent. Names that differ in digits are different names.
    """
    plain = {label: _plain(label) for label in images}
    shortened: dict[str, set[str]] = {}
    for label, name in plain.items():
        for cut in {name, *(name[:at] + name[at + 1 :] for at in range(len(name)))}:
            shortened.setdefault(cut, set()).add(label)
    pairs = {
        (rarer, other)
        for labels in shortened.values()
        for rarer in labels
        for other in labels
        if (images[rarer], other) < (images[other], rarer) and plain[rarer] != plain[other]
    }
    for label, other in sorted(pairs):
        if _is_slip(plain[label], plain[other], images[label], images[other]):
            yield label, other


def _is_slip(name: str, other: str, images: int, of_other: int) -> bool:
    if re.sub(r"\D", "", name) != re.sub(r"\D", "", other):
        return False
    short, long = sorted((name, other), key=len)
    if long == short + "s":
        return len(short) > 2
    if images > RARE_SHARE * of_other:
        return False
    fewest = FEWEST_IF_VERY_RARE if images <= VERY_RARE_SHARE * of_other else FEWEST_LETTERS
    if len(short) < len(long):
        return len(long) >= fewest
    places = [at for at, pair in enumerate(zip(name, other, strict=True)) if pair[0] != pair[1]]
    if len(places) == 1:
        return len(name) >= FEWEST_IF_REPLACED
    swapped = len(places) == 2 and sorted(name[at] for at in places) == sorted(other[at] for at in places)
    return swapped and places[1] == places[0] + 1 and len(name) >= fewest
