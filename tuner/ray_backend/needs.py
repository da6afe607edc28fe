"""What a machine must have so that trials of a search may run on it, and what one of them lacks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from trainable.errors import UserError
from tuner.provenance import code_sha256, versions
from tuner.storage.place import is_url
from tuner.storage.results_folder import require_results


@dataclass(frozen=True)
class Needs:
    """Plain values, so that any node can read them."""

    versions: dict[str, str]
    """package -> version, and Python's"""
    code: str
    """sha256 of this project's own files"""
    image: str
    """one of the data"""
    weights: tuple[str, ...]
    """files"""
    results: str
    """a file that the driver has written into the results, or their URL"""

    @classmethod
    def of_driver(cls, image: Path, weights: tuple[str, ...], results: str) -> Needs:
        """As this process, the driver, has it."""
        return cls(versions(), code_sha256(), str(image), weights, results)


def shortcomings(needs: Needs) -> list[str]:
    """What this machine lacks: what there is, the rule and the remedy in a line each."""
    return [*_of_code(needs), *_of_files(needs)]


def _of_code(needs: Needs) -> Iterator[str]:
    here = versions()
    differing = [
        f"{name} {here.get(name, '(none)')} instead of {version}"
        for name, version in needs.versions.items()
        if here.get(name) != version
    ]
    if differing:
        yield f"other version: {', '.join(differing)}; install the same versions on all nodes"
    elif code_sha256() != needs.code:
        yield "other version: this project's files are not those of the head; bring the same ones to all nodes"


def _of_files(needs: Needs) -> Iterator[str]:
    if not Path(needs.image).exists():
        yield f"data not there: {needs.image}; bring them to the same path on all nodes, or mount them there"
    if missing := [file for file in needs.weights if not Path(file).exists()]:
        yield f"weights not there: {', '.join(missing)}; bring them to the same path on all nodes"
    if is_url(needs.results):
        try:
            require_results(needs.results)
        except UserError as error:
            yield f"results cannot be reached from there: {error}"
    elif not Path(needs.results).exists():
        yield (
            f"results are local to the head: {Path(needs.results).parent} is not the same folder there; put them on "
            "shared storage: --results s3://... or a path that all nodes mount"
        )
