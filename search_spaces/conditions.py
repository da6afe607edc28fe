"""Which axes exist when: `when` as an order, a test and a walk over every combination.

Cycles are a mistake that rules.py reports; here their axes never exist.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from search_spaces.axes import Choice, FloatRange, IntRange, Value, among

AnyAxis = FloatRange | IntRange | Choice
Axes = Mapping[str, AnyAxis]
Params = Mapping[str, Value]


def parents_first(axes: Axes) -> tuple[str, ...]:
    """The axes in file order, but for those that stand above an axis in their `when`; cyclic ones last."""
    ordered: list[str] = []
    waiting = list(axes)
    while waiting:
        ready = [path for path in waiting if not any(parent in waiting for parent in axes[path].when)]
        if not ready:
            return (*ordered, *waiting)
        ordered.append(ready[0])
        waiting.remove(ready[0])
    return tuple(ordered)


def cyclic(axes: Axes) -> list[str]:
    """Axes whose `when` leads back to themselves."""
    return [path for path in axes if any(path in ancestors(axes, [parent]) for parent in axes[path].when)]


def ancestors(axes: Axes, paths: Iterable[str]) -> set[str]:
    """Those of `paths` that are axes, and the axes that decide whether they exist."""
    found: set[str] = set()
    waiting = [path for path in paths if path in axes]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += [parent for parent in axes[path].when if parent in axes]
    return found


def applies(axis: AnyAxis, known: Params) -> bool:
    """Whether an axis exists, given the fixed values and its parents'; a parent that does not exist has no value."""
    return all(parent in known and among(known[parent], values) for parent, values in axis.when.items())


def active_params(axes: Axes, fixed: Params, params: Params) -> dict[str, Value]:
    """The chosen values without those of axes that do not exist beside the others, parents first."""
    chosen: dict[str, Value] = {}
    for path in parents_first(axes):
        if path in params and applies(axes[path], {**fixed, **chosen}):
            chosen[path] = params[path]
    return chosen


def combinations(
    axes: Axes, fixed: Params, values: Callable[[str], Sequence[Value]], among_paths: Iterable[str]
) -> Iterator[dict[str, Value]]:
    """Every combination of the existing ones among some axes (with all their ancestors), each once, the last fastest.

    An axis that does not exist beside the others adds nothing, so no combination comes twice.
    """
    chosen = set(among_paths)
    order = [path for path in parents_first(axes) if path in chosen]

    def walk(depth: int, known: dict[str, Value]) -> Iterator[dict[str, Value]]:
        while depth < len(order) and not applies(axes[order[depth]], {**fixed, **known}):
            depth += 1
        if depth == len(order):
            yield known
            return
        for value in values(order[depth]):
            yield from walk(depth + 1, {**known, order[depth]: value})

    return walk(0, {})


def telling_values(axes: Axes, path: str) -> list[Value]:
    """Values of an axis that any `when` names, and one that none does: as many as its children can tell apart."""
    named = [value for axis in axes.values() for value in axis.when.get(path, ()) if axes[path].holds(value)]
    several = [value for index, value in enumerate(named) if not among(value, named[:index])]
    listed = axes[path].values() or [value for _, value in axes[path].ends()]
    return several + [value for value in listed[: len(several) + 1] if not among(value, several)][:1]


def ways_to_exist(axes: Axes, fixed: Params, path: str) -> Iterator[dict[str, Value]]:
    """Values of an axis's ancestors beside which it exists."""
    above = ancestors(axes, axes[path].when)
    for params in combinations(axes, fixed, lambda parent: telling_values(axes, parent), above):
        if applies(axes[path], {**fixed, **params}):
            yield params


def count(axes: Axes, fixed: Params) -> int | None:
    """How many combinations there are, without listing them; None where an axis cannot be listed."""
    sizes = {path: None if (values := axis.values()) is None else len(values) for path, axis in axes.items()}
    if any(size is None for size in sizes.values()):
        return None
    parents = ancestors(axes, [parent for axis in axes.values() for parent in axis.when])
    total = 0
    for params in combinations(axes, fixed, lambda path: axes[path].values() or (), parents):
        product = 1
        for path in axes.keys() - parents:
            if applies(axes[path], {**fixed, **params}):
                product *= sizes[path] or 0
        total += product
    return total
