"""What is not as it was keeps a search from going on, unless that is accepted."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from small_leftovers import Left, first

from search_spaces.document import read_yaml
from trainable.errors import UserError
from tuner import changes
from tuner.run import resume_search
from tuner.store import Store


def test_other_code_is_refused_by_key_and_recorded_where_accepted(left: Left, monkeypatch: pytest.MonkeyPatch) -> None:
    store = left(first("trial_ended", trial="t0004"))
    monkeypatch.setattr(changes, "versions", lambda: {**really, "torch": "9.9"})
    really = dict(store.record().versions)
    before = list(store.events())
    with pytest.raises(UserError) as caught:
        resume_search(store)
    assert list(caught.value.mistakes[1:]) == [f"versions.torch: {really['torch']} -> 9.9"]
    assert "--accept-changes" in caught.value.mistakes[0]
    assert list(store.events()) == before
    resume_search(store, accept_changes=True)
    record = store.record()
    assert record.status == "complete"
    assert [note.text for note in record.notes] == [f"resumed with a change: versions.torch: {really['torch']} -> 9.9"]


def test_another_space_and_other_images_are_refused_by_key(left: Left, whole: Store) -> None:
    store = left(first("trial_ended", trial="t0002"))
    config = (whole.folder.parent.parent / "space.yaml", whole.folder.parent.parent / "data")
    space, image = config[0], next(config[1].rglob("*.png"))
    kept_space, kept_image = space.read_bytes(), image.read_bytes()
    try:
        space.write_text(space.read_text().replace("0.01", "0.02"))
        image.write_bytes(next(other for other in config[1].rglob("*.png") if other != image).read_bytes())
        with pytest.raises(UserError) as caught:
            resume_search(store)
    finally:
        space.write_bytes(kept_space)
        image.write_bytes(kept_image)
    of_space, of_data = caught.value.mistakes[1:]
    assert of_space.startswith("space.axes.optimizer.lr.choice: ")
    assert of_data == f"data: 1 image changed: {image.relative_to(config[1])}"


def test_other_weights_are_refused(left: Left) -> None:
    store = left(first("trial_ended", trial="t0003"))
    document = read_yaml(store.search_yaml).data
    document["weights"] = {"lite0": {"file": "/somewhere/lite0.pth", "sha256": "5" * 64}}
    proved = SimpleNamespace(weights_sha256={"lite0": "6" * 64}, data=SimpleNamespace(hash=document["data"]["hash"]))
    told = list(changes.changes_since(document, store, proved))  # type: ignore[arg-type]
    assert told == [f"weights.lite0: {'5' * 64} -> {'6' * 64}"]
