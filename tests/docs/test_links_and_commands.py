"""The pages name what there is: links, commands, files, fields, columns; and what there is, is on its page."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
from ruamel.yaml import YAML
from small_plugins import _plugins_end  # noqa: F401  (a fixture)

from search_spaces.fields import CONFIG_FIELDS
from trainable.config import TrialConfig, choices, parse_config
from trainable.data.manifest import IMAGE_SUFFIXES, Layout, read_manifest
from trainable.metrics import AVERAGES, METRICS
from tuner.cli import app
from tuner.client import Client
from tuner.config import Resources, SearchConfig
from tuner.records import SearchRecord
from tuner.report.leaderboard import to_csv

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]  # a group
ALL_COMMANDS = [one for command in COMMANDS.values() for one in (command, *getattr(command, "commands", {}).values())]
SOURCES = [path for package in ("trainable", "search_spaces", "tuner") for path in (ROOT / package).rglob("*.py")]


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(text: str, kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL)


def in_backticks(text: str) -> set[str]:
    """What a page names in code style, options and values of lists one by one."""
    return {part for spot in re.findall(r"`([^`\n]+)`", text) for part in (spot, *spot.split())}


def anchors(path: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if link.startswith("https://"):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file) if file else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def commands() -> Iterator[str]:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        lines = [line for block in blocks(text, "bash") for line in block.splitlines()]
        spots = [spot for spot in re.findall(r"`([^`\n]+)`", text) if spot.startswith(("tuner ", "make "))]
        yield from (line.partition("#")[0].partition(">")[0].strip() for line in (*lines, *spots))


@pytest.mark.parametrize("line", sorted({line for line in commands() if line.startswith("tuner ")}))
@pytest.mark.usefixtures("_plugins_end")
def test_commands_are_understood(line: str) -> None:
    verb, *arguments = shlex.split(line)[1:]
    if verb == "--help":
        return
    command = COMMANDS[verb]
    if arguments and (further := getattr(command, "commands", None)):
        command, verb, *arguments = further[arguments[0]], *arguments
    # in running text a command may be named without what it needs
    command.make_context(verb, arguments, resilient_parsing=all(part.startswith("--") for part in arguments))


def test_make_targets_exist() -> None:
    named = {line.split()[1] for line in commands() if line.startswith("make ")}
    assert named >= {"demo", "test"}
    targets = set(re.findall(r"^(\w+):", text_of("Makefile"), re.MULTILINE))
    assert named <= targets


def test_every_command_is_in_some_page() -> None:
    assert {line.split()[1] for line in commands() if line.startswith("tuner ")} >= COMMANDS.keys()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_of_the_checkout_exist(page: Path) -> None:
    folders = ("trainable/", "search_spaces/", "tuner/", "tests/", "docs/", "examples/")
    for name in in_backticks(page.read_text(encoding="utf-8")):
        if name.startswith(folders):
            assert (ROOT / name).exists(), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_options_exist(page: Path) -> None:
    known = {option for command in ALL_COMMANDS for parameter in command.params for option in parameter.opts}
    for script in (ROOT / "examples").glob("*.py"):
        known |= set(re.findall(r'"(--[a-z-]+)"', script.read_text(encoding="utf-8")))
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", page.read_text(encoding="utf-8")))
    of_others = {"--logdir", "--backend-store-uri"}  # of tensorboard and mlflow
    of_others |= {"--port-forward", "--system", "--home-dir", "--now"}  # of hosts
    of_others |= {"--init", "--rm", "--shm-size", "--device", "--format", "--stop-timeout"}  # of containers
    assert named <= known | of_others | {"--help"}


def test_options_of_a_search_are_on_its_pages() -> None:
    on_pages = in_backticks(text_of("docs/search.md") + text_of("docs/data.md"))
    assert {parameter.opts[-1] for parameter in COMMANDS["search"].params if parameter.opts[-1].startswith("--")} <= (
        on_pages | {"--help", "--data"}
    )


def test_environment_variables_are_those_of_the_code() -> None:
    read = {name for path in SOURCES for name in re.findall(r"THAW_[A-Z_]+", path.read_text(encoding="utf-8"))}
    assert set(re.findall(r"THAW_[A-Z_]+", text_of("docs/search.md"))) == read
    assert {name for page in PAGES for name in re.findall(r"THAW_[A-Z_]+", page.read_text(encoding="utf-8"))} <= read


@pytest.mark.parametrize("block", blocks(text_of("docs/data.md"), "csv"))
def test_tables_are_read_as_the_page_says(block: str, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(block, encoding="utf-8")
    manifest = read_manifest(tmp_path)
    assert f"`Layout: {manifest.layout}`" in text_of("docs/data.md")
    assert manifest.problems == ()


def test_layouts_and_suffixes_are_named() -> None:
    named = in_backticks(text_of("docs/data.md"))
    assert {*get_args(Layout), *IMAGE_SUFFIXES} - {"auto"} <= named


def training_table() -> dict[str, str]:
    """Field -> default as docs/training.md has them."""
    rows = re.findall(r"^\| `([a-z_.]+)` \|[^|]+\|([^|]*)\|[^|]+\|$", text_of("docs/training.md"), re.MULTILINE)
    return {field: default.strip().strip("`") for field, default in rows if field in CONFIG_FIELDS}


def test_every_field_is_named_with_its_default() -> None:
    table = training_table()
    assert list(table) == list_of_fields()
    defaults = TrialConfig(backbone="lite0").model_dump(mode="json")
    for field, default in table.items():
        part, _, name = field.partition(".")
        found = defaults[part].get(name, "") if name else defaults[part]
        text = "required" if field == "backbone" else found if isinstance(found, str) else json.dumps(found)
        assert default == text, field


def list_of_fields() -> list[str]:
    """In the order of the config, each part's kind first."""
    parts = list(TrialConfig.model_fields)
    return sorted(CONFIG_FIELDS, key=lambda path: (parts.index(path.partition(".")[0]), not path.endswith(".kind")))


@pytest.mark.parametrize("part", ["head", "optimizer", "schedule"])
def test_every_kind_is_named_with_its_own_fields(part: str) -> None:
    for kind, model in choices(TrialConfig.model_fields[part].annotation).items():
        (row,) = re.findall(rf"^\| `{kind}` \| (?:[^|]+) \|(.*)\|$", text_of("docs/training.md"), re.MULTILINE)
        chosen = model.model_validate({"kind": kind})
        own = {name for name in model.model_fields if CONFIG_FIELDS[f"{part}.{name}"].kinds}
        assert dict(re.findall(r"`(\w+)` \(([\d.]+)\)", row)) == {name: str(getattr(chosen, name)) for name in own}


def test_metrics_and_values_are_named() -> None:
    named = in_backticks(text_of("docs/training.md"))
    assert {*METRICS, *AVERAGES} <= named
    for model, field in ((TrialConfig, "augment"), (TrialConfig, "batch_norm"), (TrialConfig, "thresholds")):
        assert set(get_args(model.model_fields[field].annotation)) <= named


@pytest.mark.parametrize("block", blocks(text_of("docs/training.md"), "yaml"))
def test_configs_of_the_training_page_are_valid(block: str) -> None:
    assert len(parse_config(YAML(typ="safe").load(block)).plan) == 2


def test_columns_of_the_leaderboard_are_named() -> None:
    columns = to_csv(SearchRecord()).strip().split(",")
    assert set(columns) <= in_backticks(text_of("docs/results.md"))


def test_kinds_of_events_are_named() -> None:
    written = {
        kind
        for path in SOURCES
        for kind in re.findall(r"""(?:write|_write|append)\(\s*"([a-z_]+)",?""", path.read_text(encoding="utf-8"))
        if path.parent.name in ("tuner", "ray_backend")
    }
    assert written >= {"search_started", "epoch", "trial_ended", "search_ended"}
    assert written <= in_backticks(text_of("docs/results.md"))


def test_options_in_python_exist() -> None:
    page = text_of("docs/python.md")
    listed = page[page.index("Further ones are") : page.index("It returns when")]
    named = set(re.findall(r"`([a-z_]+)`", listed))
    assert named - {"data_options"} <= SearchConfig.model_fields.keys()
    assert "workers" in Resources.model_fields


def test_methods_of_the_client_are_on_the_page_of_the_service() -> None:
    page = text_of("docs/service.md")
    named = in_backticks(page[page.index("## From Python") :].partition("```python")[2].partition("```")[2])
    assert {name for name in vars(Client) if name[0] != "_"} - {"close", "url", "submit", "leaderboard"} <= named
    (block,) = blocks(page, "python")
    compile(block, "docs/service.md", "exec")
