"""What is proved of a space, its weights and its data before a trial runs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_searches import MakeSpace, tiny_space
from small_trials import TINY

from search_spaces.overrides import Overrides
from trainable.errors import UserError
from trainable.weights import Weights
from tuner import proving
from tuner.config import DataConfig
from tuner.proving import prove_all, provide_weights

FIXED = tiny_space()["fixed"]
AXES = tiny_space()["axes"]


def mistakes(space: Path, data: Path | None = None) -> list[str]:
    with pytest.raises(UserError) as caught:
        prove_all(str(space), DataConfig(path=data) if data else None, download=False)
    return caught.value.mistakes


def test_a_sound_space_comes_with_its_data(make_space: MakeSpace, labels_csv: Path) -> None:
    proved = prove_all(str(make_space()), DataConfig(path=labels_csv), download=False)
    assert proved.objective.metric == "f2_macro"
    assert proved.weights == {}
    assert proved.data
    assert proved.data.task == "multilabel"


@pytest.mark.parametrize(
    ("space_says", "asked", "split"),
    [(None, None, "70/15/15"), ("75/25", None, "75/25"), ("75/25", "60/20/20", "60/20/20"), (None, "80/20", "80/20")],
)
def test_a_split_is_the_commands_or_the_spaces_or_the_default(
    space_says: str | None, asked: str | None, split: str, make_space: MakeSpace, labels_csv: Path
) -> None:
    space = make_space(**({"split": space_says} if space_says else {}))
    proved = prove_all(str(space), DataConfig(path=labels_csv, split=asked), download=False)
    assert proved.reading == DataConfig(path=labels_csv, split=split)
    assert proved.data
    assert list(proved.data.split_sizes) == ["train", "val", "test"][: len(split.split("/"))]


def test_overrides_come_before_all_else(make_space: MakeSpace, labels_csv: Path) -> None:
    overrides = Overrides(backbone=(f"{TINY}=resnet18",), image_size=("40",), set=("pretrained=false",))
    proved = prove_all(str(make_space()), DataConfig(path=labels_csv), download=False, overrides=overrides)
    assert proved.space.backbones() == ("resnet18",)
    assert proved.space.sizes() == (40,)
    assert proved.overrides[0] == f"backbone: {TINY} -> resnet18"
    deep = make_space(axes={**AXES, "freeze": {"choice": [0, 8]}})
    with pytest.raises(UserError, match="8 is more than the 5 blocks of resnet18"):
        prove_all(str(deep), None, download=False, overrides=overrides)


def test_space_weights_and_data_tell_their_mistakes_together(
    make_space: MakeSpace, weights_folder: Path, tmp_path: Path
) -> None:
    space = make_space(fixed={**FIXED, "pretrained": True}, axes={**AXES, "freeze": {"choice": [1, 9]}})
    in_space, in_weights, in_data = mistakes(space, tmp_path / "nowhere")
    assert "axes.freeze" in in_space
    assert str(weights_folder) in in_weights
    assert "nowhere: no such file" in in_data


@pytest.mark.parametrize(
    ("sections", "place"),
    [
        ({"axes": {**AXES, "freeze": {"choice": [1, 9]}}}, "axes.freeze"),
        ({"axes": {**AXES, "freeze": {"int": [0, 9]}}}, "axes.freeze"),
        ({"baseline": {"freeze": 9}, "axes": {"optimizer.lr": AXES["optimizer.lr"]}}, "baseline.freeze"),
        (
            {"fixed": {**FIXED, "freeze": 9}, "baseline": {}, "axes": {"optimizer.lr": AXES["optimizer.lr"]}},
            "fixed.freeze",
        ),
    ],
)
def test_blocks_of_timm_models_are_counted(sections: dict[str, Any], place: str, make_space: MakeSpace) -> None:
    (mistake,) = mistakes(make_space(**sections))
    assert f"{place}: 9 is more than the 5 blocks of {TINY}" in mistake


def test_a_timm_model_that_does_not_exist_is_told_where_it_stands(make_space: MakeSpace) -> None:
    (mistake,) = mistakes(make_space(fixed={**FIXED, "backbone": "timm:resnet_b"}))
    assert "fixed.backbone" in mistake
    assert "'resnet_b'" in mistake


def test_weights_that_are_here_are_proved_to_fit(weights_folder: Path, weights_of: Callable[[str], Weights]) -> None:
    shutil.copy(weights_of(TINY).path, weights_folder)
    (found,) = provide_weights((TINY,), download=False).values()
    assert found.path.parent == weights_folder
    shutil.copy(found.path, weights_folder / "resnet18.pth")
    with pytest.raises(UserError, match="does not hold the weights of resnet18"):
        provide_weights((TINY, "resnet18"), download=False)


def test_missing_weights_are_fetched_only_where_that_is_allowed(
    weights_folder: Path, weights_of: Callable[[str], Weights], monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[str] = []

    def fetch(backbone: str) -> None:
        fetched.append(backbone)
        shutil.copy(weights_of(TINY).path, weights_folder)

    monkeypatch.setattr(proving, "download_weights", fetch)
    with pytest.raises(UserError, match="pretrained weights are not on this machine"):
        provide_weights((TINY,), download=False)
    assert fetched == []
    assert list(provide_weights((TINY,), download=True)) == [TINY]
    provide_weights((TINY,), download=True)
    assert fetched == [TINY]
