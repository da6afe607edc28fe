"""Data sets over HTTP: registered, uploaded, looked at; and what is not to be had that way."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from commands_here import INSPECTION, run_here
from PIL import Image
from service_rows import NOON
from small_searches import write_class_folders, write_labels_csv
from small_service import SmallService, small_service

from tuner.service.data import inspections
from tuner.service.database.connection import Database
from tuner.service.database.rows import DataSetRow
from tuner.service.ids import new_id

pytestmark = pytest.mark.usefixtures("_run_here")


@pytest.fixture
def _run_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspections, "run_command", run_here)


def archive_of(folder: Path) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in folder.rglob("*"):
            archive.write(path, path.relative_to(folder.parent))
    return packed.getvalue()


def test_data_on_the_server_are_registered_by_their_path(service: SmallService, tmp_path: Path) -> None:
    write_class_folders(tmp_path / "data" / "flowers")
    answer = service.client.post("/v1/data", json={"name": "flowers", "path": "flowers"})
    assert (answer.status_code, answer.json()["state"]) == (201, "inspecting")
    service.inspected()
    shown = service.client.get(answer.headers["Location"]).json()
    assert (shown["state"], shown["told"]) == ("ready", INSPECTION)
    assert "path" not in shown
    assert service.submit("first", data="flowers").status_code == 201
    names = [item["name"] for item in service.client.get("/v1/data").json()["items"]]
    assert names == ["cats", "flowers"]


def test_pictures_are_shown_small_and_made_anew(service: SmallService, tmp_path: Path) -> None:
    write_labels_csv(tmp_path / "data" / "flowers")
    service.client.post("/v1/data", json={"name": "flowers", "path": str(tmp_path / "data/flowers/labels.csv")})
    service.inspected()
    first = service.client.get("/v1/data/flowers/pictures", params={"limit": 30}).json()
    rest = service.client.get("/v1/data/flowers/pictures", params={"cursor": first["next_cursor"]}).json()
    pictures = first["items"] + rest["items"]
    assert [picture["number"] for picture in pictures] == list(range(40))
    assert len({picture["image"] for picture in pictures}) == 40
    answer = service.client.get("/v1/data/flowers/pictures/7")
    assert answer.headers["content-type"] == "image/jpeg"
    with Image.open(io.BytesIO(answer.content)) as image:
        assert image.size == (160, 160)
    assert service.client.get("/v1/data/flowers/pictures/40").status_code == 404


def test_data_are_uploaded(service: SmallService, tmp_path: Path) -> None:
    packed = archive_of(write_class_folders(tmp_path / "elsewhere"))
    assert service.client.post("/v1/data", json={"name": "flowers"}).json()["state"] == "empty"
    answer = service.client.post("/v1/data/flowers/archive", content=packed)
    assert (answer.status_code, answer.json()["state"]) == (202, "inspecting")
    service.inspected()
    assert service.client.get("/v1/data/flowers").json()["state"] == "ready"
    assert len(service.client.get("/v1/data/flowers/pictures").json()["items"]) == 40
    uploads = service.services.settings.uploads
    assert not list(uploads.glob("*.archive")), "it is unpacked"
    again = service.client.post("/v1/data/flowers/archive", content=packed)
    assert (again.status_code, "is ready" in again.json()["detail"]) == (409, True)
    assert service.client.delete("/v1/data/flowers").status_code == 204
    assert list(uploads.iterdir()) == []


def test_uploads_may_lie_where_other_machines_see_them(service_database: Database, tmp_path: Path) -> None:
    shared = tmp_path / "shared" / "uploads"
    with small_service(service_database, tmp_path, uploads_elsewhere=shared) as service:
        service.client.post("/v1/data", json={"name": "flowers"})
        packed = archive_of(write_class_folders(tmp_path / "elsewhere"))
        service.client.post("/v1/data/flowers/archive", content=packed)
        service.inspected()
        assert service.client.get("/v1/data/flowers").json()["state"] == "ready"
    assert len(list(shared.rglob("*.png"))) == 40
    assert not (tmp_path / "state" / "uploads").exists()


def test_a_refused_archive_can_be_replaced(service: SmallService, tmp_path: Path) -> None:
    service.client.post("/v1/data", json={"name": "flowers"})
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("../../outside.png", b"x")
    service.client.post("/v1/data/flowers/archive", content=packed.getvalue())
    service.inspected()
    shown = service.client.get("/v1/data/flowers").json()
    assert shown["state"] == "refused"
    assert "leads out of its folder" in shown["told"]["mistakes"][0]
    assert list(service.services.settings.uploads.iterdir()) == []
    packed_well = archive_of(write_class_folders(tmp_path / "elsewhere"))
    assert service.client.post("/v1/data/flowers/archive", content=packed_well).status_code == 202
    service.inspected()
    assert service.client.get("/v1/data/flowers").json()["state"] == "ready"


def test_an_upload_that_is_too_large_leaves_nothing(service: SmallService, monkeypatch: pytest.MonkeyPatch) -> None:
    service.client.post("/v1/data", json={"name": "flowers"})
    monkeypatch.setitem(service.services.settings.__dict__, "upload_gib", 1e-5)
    answer = service.client.post("/v1/data/flowers/archive", content=b"\0" * 20_000)
    assert answer.status_code == 413
    assert list(service.services.settings.uploads.iterdir()) == []
    assert service.client.get("/v1/data/flowers").json()["state"] == "empty"


@pytest.mark.parametrize(
    "path",
    [
        "/etc",
        "/etc/passwd",
        "../secret",
        "flowers/../../secret",
        "link",
        "link/a.png",
        "none",
        "~",
        "~root",
        "//etc",
    ],
)
def test_what_lies_elsewhere_is_not_to_be_had(service: SmallService, tmp_path: Path, path: str) -> None:
    write_class_folders(tmp_path / "secret")
    write_class_folders(tmp_path / "data" / "flowers")
    (tmp_path / "data" / "link").symlink_to(tmp_path / "secret")
    answer = service.client.post("/v1/data", json={"name": "stolen", "path": path})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["message"].startswith(f"there is no {path!r} beneath the server's data roots")


def test_a_table_may_not_lead_elsewhere(service: SmallService, tmp_path: Path) -> None:
    write_labels_csv(tmp_path / "secret")
    folder = tmp_path / "data" / "flowers"
    folder.mkdir(parents=True)
    (folder / "labels.csv").write_text("image,labels\n../../secret/images/000.png,red;blue\n/etc/passwd,red\n")
    service.client.post("/v1/data", json={"name": "flowers", "path": "flowers"})
    service.inspected()
    shown = service.client.get("/v1/data/flowers").json()
    assert shown["state"] == "refused"
    assert len(shown["told"]["mistakes"]) == 2
    assert all("lies outside the folders" in mistake for mistake in shown["told"]["mistakes"])
    assert service.client.get("/v1/data/flowers/pictures/0").status_code == 404


def test_links_of_a_folder_may_not_lead_elsewhere(service: SmallService, tmp_path: Path) -> None:
    write_class_folders(tmp_path / "secret")
    folder = write_class_folders(tmp_path / "data" / "flowers")
    (folder / "hidden").symlink_to(tmp_path / "secret")
    service.client.post("/v1/data", json={"name": "flowers", "path": "flowers"})
    service.inspected()
    assert service.client.get("/v1/data/flowers").json()["state"] == "refused"


def test_a_picture_that_becomes_a_link_is_not_shown(service: SmallService, tmp_path: Path) -> None:
    write_class_folders(tmp_path / "secret")
    folder = write_class_folders(tmp_path / "data" / "flowers")
    service.client.post("/v1/data", json={"name": "flowers", "path": "flowers"})
    service.inspected()
    images = [item["image"] for item in service.client.get("/v1/data/flowers/pictures").json()["items"]]
    (folder / images[0]).unlink()
    (folder / images[0]).symlink_to(next((tmp_path / "secret").rglob("*.png")))
    assert service.client.get("/v1/data/flowers/pictures/0").status_code == 404
    assert service.client.get("/v1/data/flowers/pictures/1").status_code == 200


def test_pictures_that_are_none_are_not_sent(service: SmallService, tmp_path: Path) -> None:
    folder = write_class_folders(tmp_path / "data" / "flowers")
    service.client.post("/v1/data", json={"name": "flowers", "path": "flowers"})
    service.inspected()
    images = [item["image"] for item in service.client.get("/v1/data/flowers/pictures").json()["items"]]
    (folder / images[0]).write_text("<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>")
    too_large = Image.new("1", (8_000, 8_000))
    too_large.save(folder / images[1], "PNG")
    assert service.client.get("/v1/data/flowers/pictures/0").status_code == 404
    assert service.client.get("/v1/data/flowers/pictures/1").status_code == 404


def test_data_that_searches_need_stay(service: SmallService) -> None:
    service.submit("first")
    answer = service.client.delete("/v1/data/cats")
    assert (answer.status_code, "needed by searches (first)" in answer.json()["detail"]) == (409, True)


def test_a_restart_begins_inspections_anew(service: SmallService, tmp_path: Path) -> None:
    folder = write_class_folders(tmp_path / "data" / "flowers")
    left = {"path": str(folder), "reading": {}, "state": "inspecting", "created_at": NOON}
    with service.services.database.session() as session:
        session.add(DataSetRow(id=new_id(), name="flowers", **left))
    assert service.submit("early", data="flowers").status_code == 409
    assert service.client.delete("/v1/data/flowers").status_code == 409
    portal = service.client.portal
    assert portal
    portal.call(as_coroutine(service.client.app.state.inspections.start))  # type: ignore[attr-defined]
    service.inspected()
    assert service.client.get("/v1/data/flowers").json()["state"] == "ready"


def as_coroutine(call: Callable[[], None]) -> Callable[[], Awaitable[None]]:
    async def called() -> None:
        call()

    return called
