"""The page of a search that ran: written with its tables, printed on request, brought home."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

from parsed_html import by_id, parsed
from small_searches import RunTuner

from tuner.report.page.texts import ENGLISH
from tuner.report.page.writing import write_page
from tuner.result import Result
from tuner.storage.object_home import local_folder
from tuner.store import Store

_OF_THE_LOG = ("v", "seq", "time", "kind", "trial")


def test_a_search_leaves_its_page(searched: Result) -> None:
    page = parsed(searched.store.report_html.read_text(encoding="utf-8"))
    for trial in searched.store.record().trials:
        assert trial.id in by_id(page, "trials").text
    assert by_id(page, "outcome").all("img")
    assert ENGLISH["no_conclusions"] not in page.text
    assert "32 x 32" in by_id(page, "data").text
    assert ENGLISH["no_twins"] in by_id(page, "data").text
    assert ENGLISH["not_suspected"] not in by_id(page, "data").text


def test_the_command_prints_the_same_page(searched: Result, run_tuner: RunTuner, tmp_path: Path) -> None:
    ran = run_tuner("leaderboard", searched.store.folder, "--format", "html")
    assert (ran.code, ran.out) == (0, searched.store.report_html.read_text(encoding="utf-8"))
    out = tmp_path / "page.html"
    assert run_tuner("leaderboard", searched.store.folder, "--format", "html", "--out", out).code == 0
    assert out.read_bytes() == searched.store.report_html.read_bytes()


def test_the_page_is_brought_home(searched: Result) -> None:
    url = f"memory://{uuid.uuid4().hex}/results"
    store = Store.create(url, "new")
    with store.lock():
        for event in searched.store.events():
            store.append(event["kind"], event.get("trial"), **{k: v for k, v in event.items() if k not in _OF_THE_LOG})
        write_page(store, store.record())
        written = store.report_html.read_bytes()
    shutil.rmtree(local_folder(url))
    found = Store.open("new", url)
    assert found.fetch(found.report_html).read_bytes() == written
