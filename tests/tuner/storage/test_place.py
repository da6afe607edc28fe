from __future__ import annotations

from pathlib import Path

import pytest

from tuner.storage.place import Place, as_place, beneath, is_url, split_place


@pytest.mark.parametrize(
    ("given", "url", "place"),
    [
        ("s3://bucket/results/", True, "s3://bucket/results"),
        ("gs://bucket", True, "gs://bucket"),
        ("file:///mnt/results", False, Path("/mnt/results")),
        ("results", False, Path("results")),
        (Path("/mnt/results"), False, Path("/mnt/results")),
    ],
)
def test_a_url_is_told_from_a_folder(given: Place, url: bool, place: Place) -> None:
    assert (is_url(given), as_place(given)) == (url, place)
    assert split_place(beneath(place, "birds")) == (place, "birds")
