"""What the command line refuses, and how it says so: one line a mistake, exit code 2, nothing written."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from small_searches import MakeSpace, RunTuner, tiny_space

from trainable.backbones import backbone_facts, build_model

FIXED = tiny_space()["fixed"]
AXES = tiny_space()["axes"]


@dataclass(frozen=True)
class Ground:
    """What a mistaken command may be made of; all of it lies in `folder`."""

    folder: Path
    make_space: MakeSpace
    labels_csv: Path
    class_folders: Path
    weights: Path

    @property
    def results(self) -> Path:
        return self.folder / "results"

    def search(self, *more: object, data: Path | None = None, space: object = None, **sections: Any) -> list[object]:
        """A search of the tiny space with these sections, named `new`."""
        tried = space or self.make_space(**sections)
        given = ["search", tried, "--data", data or self.labels_csv, "--results", self.results, *more]
        return given if "--name" in more else [*given, "--name", "new"]

    def copied(self, source: Path) -> Path:
        return shutil.copytree(source, self.folder / "data")

    def edited_csv(self, edit: Callable[[list[str]], object], source: Path | None = None) -> Path:
        """The multi-label data, or a table of classes, with lines of the table changed."""
        folder = self.copied(source or self.labels_csv.parent)
        table = folder / "labels.csv"
        if source is not None:
            images = sorted(folder.rglob("*.png"))
            table.write_text("image,label\n" + "".join(f"{p.relative_to(folder)},{p.parent.name}\n" for p in images))
        lines = table.read_text().splitlines()
        edit(lines)
        table.write_text("\n".join(lines) + "\n")
        return table


def _typo_in_a_field(ground: Ground) -> list[object]:
    return ground.search(axes={**AXES, "optimizer.lrr": {"choice": [0.1]}})


def _typo_in_a_section(ground: Ground) -> list[object]:
    return ground.search(axs={})


def _unknown_backbone(ground: Ground) -> list[object]:
    return ground.search(fixed={**FIXED, "backbone": "resnet19"})


def _unknown_timm_model(ground: Ground) -> list[object]:
    return ground.search(fixed={**FIXED, "backbone": "timm:resnet_18_b"})


def _freeze_beyond_the_blocks(ground: Ground) -> list[object]:
    return ground.search(axes={**AXES, "freeze": {"choice": [2, 9]}})


def _freeze_beyond_a_torchvision_model(ground: Ground) -> list[object]:
    return ground.search(fixed={**FIXED, "backbone": "resnet18"}, axes={**AXES, "freeze": {"int": [0, 6]}})


def _empty_folder(ground: Ground) -> list[object]:
    empty = ground.folder / "empty"
    empty.mkdir()
    return ground.search(data=empty)


def _truncated_image(ground: Ground) -> list[object]:
    data = ground.copied(ground.class_folders)
    image = sorted(data.rglob("*.png"))[0]
    image.write_bytes(image.read_bytes()[:200])
    return ground.search(data=data, objective="f1_macro")


def _missing_image(ground: Ground) -> list[object]:
    data = ground.copied(ground.labels_csv.parent)
    (data / "images" / "003.png").unlink()
    return ground.search(data=data / "labels.csv")


def _label_without_positives_in_validation(ground: Ground) -> list[object]:
    def once(lines: list[str]) -> None:
        lines[1] += ";rare"

    return ground.search(data=ground.edited_csv(once))


def _unknown_metric(ground: Ground) -> list[object]:
    return ground.search(objective="f2_makro")


def _existing_name(ground: Ground) -> list[object]:
    (ground.results / "old").mkdir(parents=True)
    return ground.search("--name", "old")


def _missing_weights(ground: Ground) -> list[object]:
    return ground.search("--offline", fixed={**FIXED, "backbone": "resnet18", "pretrained": True})


def _weights_of_another_backbone(ground: Ground) -> list[object]:
    torch.save(build_model(backbone_facts("mobilenet_v3_large")).state_dict(), ground.weights / "resnet18.pth")
    return ground.search(fixed={**FIXED, "backbone": "resnet18", "pretrained": True})


def _damaged_weights(ground: Ground) -> list[object]:
    (ground.weights / "resnet18.pth").write_bytes(b"<html>not found</html>")
    return ground.search(fixed={**FIXED, "backbone": "resnet18", "pretrained": True})


def _unknown_space(ground: Ground) -> list[object]:
    return ground.search(space="quik")


def _missing_data(ground: Ground) -> list[object]:
    return ground.search(data=ground.folder / "lables.csv")


def _bad_split(ground: Ground) -> list[object]:
    return ground.search("--split", "70/20/20")


def _epochs_searched_under_halving(ground: Ground) -> list[object]:
    fixed = {name: value for name, value in FIXED.items() if name != "epochs"}
    return ground.search(scheduler="asha", fixed=fixed, axes={**AXES, "epochs": {"choice": [2, 3]}})


def _conditions_in_a_circle(ground: Ground) -> list[object]:
    head = {"choice": ["linear", "mlp"], "when": {"augment": "light"}}
    augment = {"choice": ["none", "light"], "when": {"head.kind": "mlp"}}
    return ground.search(axes={**AXES, "head.kind": head, "augment": augment})


def _duplicate_key(ground: Ground) -> list[object]:
    space = ground.make_space()
    space.write_text(space.read_text() + "about: again\n")
    return ground.search(space=space)


def _number_for_pos_weight_of_classes(ground: Ground) -> list[object]:
    axes = {**AXES, "loss.pos_weight": {"choice": ["none", 2.0]}}
    return ground.search(data=ground.class_folders, objective="f1_macro", axes=axes)


def _unknown_option(ground: Ground) -> list[object]:
    return ground.search("--trils", 3)


def _no_trials(ground: Ground) -> list[object]:
    return ground.search("--trials", 0)


def _several_bad_options(ground: Ground) -> list[object]:
    return ground.search("--top", 0, "--workers", 0, "--data-seed", -1)


def _more_than_a_gpu_and_less_than_two(ground: Ground) -> list[object]:
    return ground.search("--gpus-per-trial", 1.5)


def _path_for_a_name(ground: Ground) -> list[object]:
    return ground.search("--name", "../elsewhere")


def _file_for_the_results_folder(ground: Ground) -> list[object]:
    ground.results.write_text("")
    return ground.search()


def _too_many_arguments(ground: Ground) -> list[object]:
    return ["ls", "--results", ground.results, "extra"]


def _missing_image_column(ground: Ground) -> list[object]:
    return ground.search("--image-column", "imgae")


def _unlabelled_row_of_classes(ground: Ground) -> list[object]:
    def unlabel(lines: list[str]) -> None:
        lines[3] = lines[3].partition(",")[0] + ","

    return ground.search(data=ground.edited_csv(unlabel, ground.class_folders), objective="f1_macro")


def _labels_that_differ_by_case(ground: Ground) -> list[object]:
    def capitalise(lines: list[str]) -> None:
        lines[-1] = lines[-1].replace(",red", ",Red")

    return ground.search(data=ground.edited_csv(capitalise, ground.class_folders), objective="f1_macro")


def _mistakes_in_space_weights_and_data(ground: Ground) -> list[object]:
    fixed = {**FIXED, "backbone": "resnet18", "pretrained": True}
    axes = {**AXES, "freeze": {"choice": [2, 9]}}
    return ground.search("--offline", data=ground.folder / "nowhere", fixed=fixed, axes=axes)


def _unknown_command(ground: Ground) -> list[object]:  # noqa: ARG001
    return ["serch"]


def _no_argument(ground: Ground) -> list[object]:  # noqa: ARG001
    return ["search"]


def _bad_format(ground: Ground) -> list[object]:
    return ["leaderboard", "x", "--format", "xls", "--results", ground.results]


def _leaderboard_of_no_search(ground: Ground) -> list[object]:
    return ["leaderboard", "flowers", "--results", ground.results]


def _show_no_search(ground: Ground) -> list[object]:
    return ["show", "flowers", "--results", ground.results]


def _predict_with_no_search(ground: Ground) -> list[object]:
    return ["predict", "flowers", ground.class_folders, "--results", ground.results]


def _train_another_file(ground: Ground) -> list[object]:
    notes = ground.folder / "notes.yaml"
    notes.write_text("hello: 1\n")
    return ["train", notes, "--data", ground.labels_csv]


def _train_half_a_best_yaml(ground: Ground) -> list[object]:
    half = ground.folder / "half.yaml"
    half.write_text("config: {backbone: resnet18}\n")
    return ["train", half]


def _train_without_data(ground: Ground) -> list[object]:
    bare = ground.folder / "bare.yaml"
    bare.write_text("backbone: resnet18\npretrained: false\n")
    return ["train", bare]


def _verify_a_bare_config(ground: Ground) -> list[object]:
    return [*_train_without_data(ground), "--data", ground.labels_csv, "--verify"]


def _train_into_an_existing_folder(ground: Ground) -> list[object]:
    return [*_train_without_data(ground), "--data", ground.labels_csv, "--out", ground.class_folders]


def _inspect_a_picture(ground: Ground) -> list[object]:
    return ["inspect", sorted(ground.class_folders.rglob("*.png"))[0]]


MISTAKES: list[tuple[Callable[[Ground], list[object]], tuple[str, ...]]] = [
    (_typo_in_a_field, ("space.yaml:", "optimizer.lrr", "'optimizer.lr'")),
    (_typo_in_a_section, ("'axs'", "'axes'")),
    (_unknown_backbone, ("resnet19", "'resnet18'")),
    (_unknown_timm_model, ("fixed.backbone", "resnet_18_b")),
    (_freeze_beyond_the_blocks, ("axes.freeze", "9 is more than the 5 blocks", "give 0 to 5")),
    (_freeze_beyond_a_torchvision_model, ("axes.freeze", "6 is more than the 5 blocks", "give 0 to 5")),
    (_empty_folder, ("empty: no images found", ".png")),
    (_truncated_image, (".png: unreadable", "--skip-unreadable")),
    (_missing_image, ("images/003.png (line 5)", "--skip-unreadable")),
    (_label_without_positives_in_validation, ("'rare'", "none in val", "--drop-rare-labels")),
    (_unknown_metric, ("objective", "'f2_makro'", "'f2_macro'")),
    (_existing_name, ("'old' exists", "nothing is overwritten")),
    (_missing_weights, ("resnet18", "weights", "--download", "resnet18.pth")),
    (_weights_of_another_backbone, ("resnet18.pth does not hold the weights of resnet18",)),
    (_damaged_weights, ("resnet18.pth: cannot be read",)),
    (_unknown_space, ("'quik'", "'quick'")),
    (_missing_data, ("lables.csv: no such file",)),
    (_bad_split, ("'70/20/20': the sum is 110", "70/15/15")),
    (_epochs_searched_under_halving, ("axes.epochs", "scheduler: none")),
    (_conditions_in_a_circle, ("axes.head.kind.when", "axes.augment.when")),
    (_duplicate_key, ("about: is given twice", "line 1")),
    (_number_for_pos_weight_of_classes, ("loss.pos_weight", "2.0 is a number", "balanced")),
    (_unknown_option, ("--trils", "--trials", "tuner search --help")),
    (_no_trials, ("--trials 0", "greater than or equal to 1")),
    (_several_bad_options, ("--top 0", "--workers 0", "--data-seed -1")),
    (_more_than_a_gpu_and_less_than_two, ("--gpus-per-trial 1.5", "0.5")),
    (_path_for_a_name, ("'../elsewhere'", "choose such a name")),
    (_file_for_the_results_folder, ("results", "is a file", "--results")),
    (_too_many_arguments, ("extra", "tuner ls --help")),
    (_missing_image_column, ("'imgae'", "'image'")),
    (_unlabelled_row_of_classes, ("line 4", "has no label")),
    (_labels_that_differ_by_case, ("'Red' and 'red'", "spell them alike")),
    (_mistakes_in_space_weights_and_data, ("axes.freeze", "resnet18.pth", "nowhere: no such")),
    (_unknown_command, ("'serch'", "'search'")),
    (_no_argument, ("argument", "tuner search --help")),
    (_bad_format, ("'xls'", "'md'")),
    (_leaderboard_of_no_search, ("'flowers'", "none has been run there yet")),
    (_show_no_search, ("'flowers'",)),
    (_predict_with_no_search, ("'flowers'",)),
    (_train_another_file, ("notes.yaml", "hello")),
    (_train_half_a_best_yaml, ("half.yaml", "result", "provenance")),
    (_train_without_data, ("bare.yaml", "--data")),
    (_verify_a_bare_config, ("--verify", "best.yaml")),
    (_train_into_an_existing_folder, ("--out", "nothing is overwritten")),
    (_inspect_a_picture, (".png", ".csv")),
]


@pytest.mark.parametrize(
    ("command", "expected"), MISTAKES, ids=[command.__name__.lstrip("_") for command, _ in MISTAKES]
)
def test_mistake_is_told_and_nothing_is_written(
    command: Callable[[Ground], list[object]],
    expected: tuple[str, ...],
    tmp_path: Path,
    make_space: MakeSpace,
    labels_csv: Path,
    class_folders: Path,
    weights_folder: Path,
    run_tuner: RunTuner,
) -> None:
    arguments = command(Ground(tmp_path, make_space, labels_csv, class_folders, weights_folder))
    before = _files(tmp_path)
    ran = run_tuner(*arguments)
    lines = ran.err.splitlines()
    assert ran.code == 2
    assert lines
    assert all(line.startswith("error: ") for line in lines)
    assert all(fragment in ran.err for fragment in expected), ran.err
    assert ran.out == ""
    assert _files(tmp_path) == before


def test_each_mistake_is_a_line_of_its_own(
    tmp_path: Path, make_space: MakeSpace, labels_csv: Path, weights_folder: Path, run_tuner: RunTuner
) -> None:
    ground = Ground(tmp_path, make_space, labels_csv, labels_csv, weights_folder)
    assert len(run_tuner(*_mistakes_in_space_weights_and_data(ground)).err.splitlines()) == 3
    assert len(run_tuner(*_several_bad_options(ground)).err.splitlines()) == 3


def test_nothing_a_search_has_written_is_overwritten(
    tmp_path: Path, make_space: MakeSpace, labels_csv: Path, weights_folder: Path, run_tuner: RunTuner
) -> None:
    ground = Ground(tmp_path, make_space, labels_csv, labels_csv, weights_folder)
    table = tmp_path / "table.md"
    table.write_text("kept")
    (ground.results / "old").mkdir(parents=True)
    (ground.results / "old" / "events.jsonl").write_text("")
    refused = run_tuner("leaderboard", "old", "--results", ground.results, "--out", table)
    assert refused.code == 2
    assert "nothing is overwritten" in refused.err
    assert table.read_text() == "kept"


def _files(folder: Path) -> dict[str, str]:
    """Every file below a folder with its content's hash; folders have none."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in sorted(folder.rglob("*"))
    }
