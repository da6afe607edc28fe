"""Results on a server that speaks S3: moto's, on loopback."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import boto3
import psutil
import pytest
from moto.server import ThreadedMotoServer
from s3fs import S3FileSystem
from small_searches import (
    RunTuner,
    search_without_ray,
    start_resuming,
    start_search,
    tiny_space,
    write_labels_csv,
    write_space,
)
from small_trials import MEASURED

from tuner.result import search
from tuner.storage.lease import holder_of
from tuner.storage.objects import open_objects
from tuner.store import Store

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a server with one bucket, `thaw`."""
    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    keys = {"aws_access_key_id": "key", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
    boto3.client("s3", endpoint_url=f"http://{host}:{port}", **keys).create_bucket(Bucket="thaw")
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture(autouse=True)
def _environment(server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    S3FileSystem.clear_instance_cache()


def test_a_search_that_is_killed_and_loses_its_machine_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_tuner: RunTuner
) -> None:
    axes = {"head.kind": {"choice": ["linear", "mlp"]}, "optimizer.lr": {"choice": [1e-3, 1e-2]}}
    space = write_space(tmp_path / "space.yaml", tiny_space(axes=axes, sampler="grid", baseline={"freeze": 2}))
    data = write_labels_csv(tmp_path / "data")
    with pytest.MonkeyPatch.context() as patch:
        search_without_ray(patch)
        whole = search(space, data, "new", results=tmp_path / "results", data_options={"split": "75/25"}).store

    killed = start_search(space, data, "s3://thaw/results", "new", "--split", "75/25", "--workers", 1)
    killed.wait_for(lambda event: event["kind"] == "trial_started" and event["trial"] == "t0004")
    killed.process.kill()
    killed.process.communicate(timeout=60)
    psutil.wait_procs(killed.workers(), timeout=60)
    shutil.rmtree(killed.folder.parent)
    monkeypatch.setenv("THAW_CACHE", str(tmp_path / "another machine"))
    before = list(Store.open("new", "s3://thaw/results").events())
    assert [event["trial"] for event in before if event["kind"] == "trial_ended"] == ["t0001", "t0002", "t0003"]

    resumed = start_resuming("s3://thaw/results/new").finish()
    assert resumed.code == 0, resumed.err
    assert "best config: s3://thaw/results/new/best.yaml" in resumed.out
    events = list(Store.open("new", "s3://thaw/results").events())
    assert events[: len(before)] == before
    ended = [event["trial"] for event in events if event["kind"] == "trial_ended"]
    assert sorted(ended) == sorted(trial.id for trial in whole.record().trials)
    there = run_tuner("leaderboard", "new", "--results", "s3://thaw/results", "--format", "csv").out
    assert rows(there) == rows(whole.leaderboard_csv.read_text())
    assert open_objects("s3://thaw/results/new").get("leaderboard.csv").decode() == there


def rows(table: str) -> list[dict[str, str]]:
    """A leaderboard, without what is measured anew."""
    found = csv.DictReader(io.StringIO(table))
    return [{name: cell for name, cell in row.items() if name not in MEASURED} for row in found]


@pytest.mark.parametrize(
    ("results", "environment", "said"),
    [
        ("s3://nowhere/results", {}, "there is no bucket 'nowhere'; create it"),
        ("s3://thaw/results", {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "cannot be reached (Could not connect to"),
        ("s3://thaw/results", {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "no credentials were found; set"),
    ],
    ids=["no_bucket", "no_server", "no_credentials"],
)
def test_what_is_wrong_is_said_in_a_line(
    results: str,
    environment: dict[str, str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    run_tuner: RunTuner,
    tmp_path: Path,
) -> None:
    for name, value in environment.items():
        if value:
            monkeypatch.setenv(name, value)
        else:
            monkeypatch.delenv(name)
    S3FileSystem.clear_instance_cache()  # of what this process has asked for with what it had in its environment then
    for command in (
        ("ls",),
        ("leaderboard", "birds"),
        ("search", write_space(tmp_path / "space.yaml", tiny_space()), "--data", tmp_path),
    ):
        ran = run_tuner(*command, "--results", results)
        assert (ran.code, ran.err.count("\n")) == (2, 1), ran.err
        assert said in ran.err


def test_the_lock_is_a_conditional_write() -> None:
    store = Store.create("s3://thaw/results", "locked")
    with store.lock():
        holder = holder_of(open_objects("s3://thaw/results/locked"))
        assert holder is not None
        assert holder.is_alive
        assert not open_objects("s3://thaw/results/locked").create("lock/00000001.json", b"mine")
    assert not store.held()
