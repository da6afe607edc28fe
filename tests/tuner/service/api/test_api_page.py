"""What docs/api.md says: its commands work, and its table has what there is."""

from __future__ import annotations

import re
import shlex
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
from commands_here import run_here
from small_searches import write_class_folders
from small_service import SmallService

from tuner.service.data import inspections
from tuner.service.submissions import proving

PAGE = (Path(__file__).parents[4] / "docs" / "api.md").read_text(encoding="utf-8")


def commands() -> list[list[str]]:
    blocks = re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
    return [shlex.split(line)[1:] for block in blocks for line in block.splitlines() if line.startswith("curl ")]


def run_curl(service: SmallService, arguments: list[str], folder: Path) -> int:
    """The status of what curl would be answered."""
    method, headers, body, url = "", {}, None, ""
    given = iter(arguments)
    for argument in given:
        if argument == "-X":
            method = next(given)
        elif argument == "-H":
            name, value = next(given).split(": ", 1)
            headers[name] = value
        elif argument == "-d":
            method, body = method or "POST", next(given).encode()
        elif argument == "-T":
            method, body = method or "PUT", (folder / next(given)).read_bytes()
        elif argument != "-N":
            url = argument.removeprefix("$THAW")
    return service.client.request(method or "GET", url, headers=headers, content=body).status_code


def test_its_commands_work(
    service: SmallService, searched_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def planned(*_: object) -> dict[str, Any]:
        return {}

    monkeypatch.setattr(proving, "plan", planned)
    monkeypatch.setattr(inspections, "run_command", run_here)
    folder = write_class_folders(tmp_path / "data" / "flowers")
    with zipfile.ZipFile(tmp_path / "flowers.zip", "w") as archive:
        for path in folder.rglob("*.png"):
            archive.write(path, path.relative_to(folder))
    assert len(commands()) > 10
    for arguments in commands():
        status = run_curl(service, arguments, tmp_path)
        assert status < 300, arguments
        service.inspected()
        if arguments[0].endswith("/v1/searches") and status == 201:
            shutil.copytree(searched_folder, service.results / "first")
            service.be("first", "running")


def test_its_addresses_are_those_that_there_are(service: SmallService) -> None:
    described = service.client.get("/v1/openapi.json").json()["paths"]
    there = {f"{verb.upper()} {path}" for path, verbs in described.items() for verb in verbs}
    table = "".join(line for line in PAGE.splitlines() if line.startswith("| `"))
    named = set(re.findall(r"`((?:GET|POST|DELETE) /[^`]+)`", table))
    named |= {f"GET /v1/searches/{{name}}{file}" for file in re.findall(r"`(/\w+\.\w+)`", table)}
    assert named == there
