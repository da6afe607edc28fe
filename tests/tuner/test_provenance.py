from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tuner import provenance
from tuner.provenance import command, git_commit, versions


def test_versions_of_what_matters() -> None:
    found = versions()
    assert {"python", "torch", "ray", "optuna", "pillow"} <= found.keys()
    assert all(found.values())


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of one file that the code seems to run from."""
    git = shutil.which("git")
    if git is None:
        pytest.skip("no git here")
    source = tmp_path / "code.py"
    source.write_text("1\n")
    monkeypatch.setattr(provenance, "__file__", str(source))
    for arguments in (
        ["init", "-q"],
        ["add", "code.py"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "first"],
    ):
        subprocess.run([git, "-C", str(tmp_path), *arguments], check=True)
    return tmp_path


def test_the_commit_is_marked_where_files_differ_from_it(checkout: Path) -> None:
    commit = git_commit()
    assert commit
    assert len(commit) == 40
    (checkout / "notes.txt").write_text("untracked")
    assert git_commit() == commit
    (checkout / "code.py").write_text("2\n")
    assert git_commit() == f"{commit}+"


def test_no_commit_outside_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "code.py"))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_commit() is None


def test_no_commit_without_git(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert git_commit() is None


def test_the_command_line_is_told_as_a_shell_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for program in ("/usr/local/bin/tuner", "/src/tuner/cli/__main__.py"):
        monkeypatch.setattr("sys.argv", [program, "search", "a space.yaml", "--set", "epochs=3"])
        assert command() == "tuner search 'a space.yaml' --set epochs=3"
    monkeypatch.setattr("sys.argv", ["ipykernel_launcher.py", "-f", "kernel.json"])
    assert command() == ""


def test_secrets_of_a_command_line_are_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    given = ["--notify", "slack://a/b/c", "--notify=mailto://me:word@x.org", "--results", "s3://key:secret@bucket/x"]
    monkeypatch.setattr("sys.argv", ["tuner", "search", "quick", *given])
    assert command() == "tuner search quick --notify ... --notify=... --results s3://...@bucket/x"
