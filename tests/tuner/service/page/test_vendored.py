"""Others' files are byte for byte those of their packages, with their licences beside them."""

from __future__ import annotations

import hashlib
from importlib.resources import files

import pytest

from tuner.service.page.assets import assets
from tuner.service.page.vendored import VENDORED, Vendored

OURS = {"service.js", "curves.js", "upload.js", "service.css", "theme.css", "favicon.svg"}


@pytest.mark.parametrize("one", VENDORED, ids=lambda one: one.file)
def test_a_vendored_file_is_what_its_package_has(one: Vendored) -> None:
    content = (files("tuner.service.page") / "static" / one.file).read_bytes()
    assert hashlib.sha256(content).hexdigest() == one.sha256
    assert assets()[one.file].content == content


def test_whatever_is_not_ours_is_in_the_table() -> None:
    assert set(assets()) == OURS | {one.file for one in VENDORED}


def test_each_package_has_its_licence_beside_it() -> None:
    licences = {one.package: assets()[one.file].content.decode() for one in VENDORED if one.path == "LICENSE"}
    assert licences.keys() == {one.package for one in VENDORED}
    assert "Permission to use, copy, modify" in licences["htmx.org"]
    assert "The MIT License" in licences["uplot"]


def test_another_content_has_another_address() -> None:
    versions = [asset.version for asset in assets().values()]
    assert len(set(versions)) == len(versions)
