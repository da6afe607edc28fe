"""What a result was made with: versions of what matters, and the code's commit."""

from __future__ import annotations

import functools
import hashlib
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

PACKAGES = (
    "thaw-tuner",
    "torch",
    "torchvision",
    "timm",
    "torchmetrics",
    "ray",
    "optuna",
    "numpy",
    "pillow",
    "scikit-learn",
)

SECRET_OPTIONS = ("--notify",)
"""whose values let whoever reads them do something"""
HIDDEN = "..."
_CREDENTIALS = re.compile(r"://[^/@\s]+@")
"""in a URL"""


def versions(packages: Iterable[str] = PACKAGES) -> dict[str, str]:
    """Package -> version of those that are installed, and Python's."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def command() -> str:
    """The command line that this process was started with, `tuner ...`, without secrets; empty in other programs."""
    program = Path(sys.argv[0])
    is_ours = program.name == "tuner" or program.parts[-3:] == ("tuner", "cli", "__main__.py")
    return shlex.join(["tuner", *_without_secrets(sys.argv[1:])]) if is_ours else ""


def _without_secrets(arguments: Sequence[str]) -> Iterator[str]:
    before = ""
    for argument in arguments:
        option, given, _ = argument.partition("=")
        if before in SECRET_OPTIONS:
            yield HIDDEN
        elif given and option in SECRET_OPTIONS:
            yield f"{option}={HIDDEN}"
        else:
            yield _CREDENTIALS.sub(f"://{HIDDEN}@", argument)
        before = argument


@functools.cache
def code_sha256() -> str:
    """Of this project's own Python files, which all processes of a search must have alike."""
    here = Path(__file__).parents[1]
    files = sorted(file for room in ("trainable", "search_spaces", "tuner") for file in (here / room).rglob("*.py"))
    contents = hashlib.sha256()
    for file in files:
        contents.update(f"{file.relative_to(here)}\n".encode() + file.read_bytes())
    return contents.hexdigest()


def git_commit() -> str | None:
    """The commit of the checkout that this code runs from, `+` if files differ from it; None outside a checkout."""
    folder = Path(__file__).parent
    try:
        _git(folder, "ls-files", "--error-unmatch", Path(__file__).name)  # an environment may lie in another checkout
        commit = _git(folder, "rev-parse", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{commit}+" if changed else commit


def git_remote() -> str | None:
    """Where the checkout that this code runs from was cloned from, without a password; None where that is unknown."""
    try:
        url = _git(Path(__file__).parent, "config", "--get", "remote.origin.url")
    except (OSError, subprocess.SubprocessError):
        return None
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])) if parts.scheme else url or None


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ("git", "-C", str(folder), *arguments), check=True, capture_output=True, text=True, timeout=10
    ).stdout.strip()
