from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import torch

from benchmarks import gpu
from benchmarks.gpu_paths import augmentation, boundaries, transfers
from benchmarks.gpu_steps import MODES, Contender, Workload, contenders
from trainable.backbones import backbone_facts

CPU = torch.device("cpu")
TINY = "timm:test_resnet"


def work(mode: gpu.Mode = "training", images: int = 4) -> Workload:
    return Workload(backbone_facts(TINY), mode, images, 32, CPU)


@pytest.mark.real
@pytest.mark.parametrize("mode", MODES)
def test_every_contender_s_step_runs(mode: gpu.Mode) -> None:
    every = contenders(CPU)
    for contender in every if mode == "training" else (every[0], every[3]):
        row = gpu.measured_step(work(mode), contender, 0.0)
        assert (row.images_per_second or 0) > 0
        assert (row.section, row.subject, row.what, row.images) == (mode, TINY, contender.name, 4)


def test_where_memory_runs_out_half_as_many_images_are_tried_and_the_row_says_so() -> None:
    def step(given: Workload) -> None:
        if given.images > 8:
            raise torch.OutOfMemoryError("no memory")

    row = gpu.measured_step(work(images=32), Contender("greedy", lambda given: lambda: step(given)), 0.0)
    assert row.images == 8
    assert row.images_per_second is not None
    assert row.note == "out of memory with 16 at once"

    row = gpu.measured_step(work(images=4), Contender("greedier", lambda _: lambda: step(work(images=9))), 0.0)
    assert row.images_per_second is None


def test_paths_of_images_and_features_are_measured() -> None:
    assert [rate.what for rate in transfers(CPU, 4, 32, 0.0)] == ["pageable", "gathered, pageable"]
    assert [rate.what.split(",")[0] for rate in augmentation(CPU, 4, 32, 0.0)][:2] == ["Thaw light", "Thaw strong"]
    rates = list(boundaries(backbone_facts(TINY), CPU, 4, 32, 0.0))
    assert {rate.what for rate in rates} == {"recomputed", "from host memory", "from disk, in the page cache"}
    assert len(rates) == 3 * 5
    assert all(rate.images_per_second > 0 for rate in rates)


def test_a_row_that_fails_costs_no_other_and_time_ends_the_run() -> None:
    def failing() -> gpu.Iterator[gpu.Row]:
        raise RuntimeError("no kernel\nand more")

    def working() -> gpu.Iterator[gpu.Row]:
        yield gpu.Row("a", "b", "c", 1.0, 1)

    jobs = [gpu.Job("first", failing), gpu.Job("second", working)]
    rows, left_out = gpu.measure_all(jobs, time.monotonic() + 60, lambda _: None)
    assert [(row.subject, row.note) for row in rows] == [("first", "RuntimeError: no kernel"), ("b", "")]
    assert left_out == 0
    assert gpu.measure_all(jobs, time.monotonic() - 1, lambda _: None) == ([], 2)


def test_the_command_prints_a_table_and_writes_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "gpu.json"
    gpu.main(["--quick", "--minutes", "0", "--backbones", TINY, "--out", str(out)])
    printed = capsys.readouterr().out
    assert "| section | subject | what | images/s |" in printed
    assert "measurements did not fit the minutes" in printed
    found = json.loads(out.read_text())
    assert found["rows"] == []
    assert found["left_out"] > 10
    assert {"device", "date", "torch"} <= found["machine"].keys()
