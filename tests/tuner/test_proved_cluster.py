"""What ships is right but for what only its user knows, and each mistake is told with its place."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from small_clusters import CLUSTER_FILES, ROOT, filled

from trainable.errors import UserError
from tuner.cluster.manifest import manifest_findings
from tuner.proved_cluster import PLACEHOLDER, ProvedCluster, prove_cluster


@pytest.fixture(autouse=True)
def _at_the_top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "id_ed25519").touch()


def proved(tmp_path: Path, text: str, gpus: float | None = None) -> ProvedCluster:
    file = tmp_path / "c.yaml"
    file.write_text(text)
    return prove_cluster(file, 1.0, gpus)


def mistakes(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(UserError) as caught:
        proved(tmp_path, text)
    return [line.removeprefix(str(tmp_path)) for line in caught.value.mistakes]


@pytest.mark.parametrize("file", CLUSTER_FILES)
def test_shipped_files_only_lack_what_their_user_knows(file: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        prove_cluster(Path(file))
    assert all(line.endswith(f" {PLACEHOLDER} is left: put your own value here") for line in caught.value.mistakes)
    proved(tmp_path, filled(file), gpus=1)


@pytest.mark.parametrize("file", CLUSTER_FILES)
def test_each_value_to_change_stands_beside_a_comment(file: str) -> None:
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        above = lines[max(0, number - 5) : number + 1]
        assert PLACEHOLDER not in line or any("#" in each for each in above), line


OF_AWS = [
    ("max_workers: 4 ", "max_worker: 4 ", ":6:1 max_worker: does not exist; did you mean 'max_workers'?"),
    ("    min_workers: 0  ", "    min_worker: 0  ", "gpu.min_worker: does not exist; did you mean 'min_workers'?"),
    (
        "InstanceType: g5.xlarge",
        "InstanceTyp: g5.xlarge",
        "InstanceTyp: does not exist; did you mean 'InstanceType'",
    ),
    ("g5.xlarge ", "g5.xlargee ", "node_config.InstanceType: 'g5.xlargee' does not exist; did you mean 'g5.xlarge'?"),
    ("MarketType: spot", "MarketType: spott", "MarketType: 'spott' does not exist; did you mean 'spot'?"),
    (
        "VolumeSize: 150",
        "VolumeSize: large",
        "Invalid type for parameter BlockDeviceMappings[0].Ebs.VolumeSize",
    ),
    ("HttpTokens: required", "HttpTokens: yess", "HttpTokens: 'yess' does not exist"),
    ("    min_workers: 0  ", "    min_workers: 5  ", "gpu.min_workers: 5 is more than max_workers: 4"),
    ("GPU: 1,", "GPU: 0.5,", "gpu.resources.GPU: 0.5: must be of type integer"),
    ("resources: {CPU: 0}", "# none", "available_node_types.head: needs resources"),
    ("head_node_type: head", "head_node_type: hed", "Ray refuses it: ValueError: `head_node_type` must be one of"),
    ("cluster_name: thaw", "", ":1:1 needs cluster_name"),
    ("THAW_RESULTS=s3://mine/thaw", "THAW_RESULTS=$HOME", "THAW_RESULTS=$HOME/results is on each node's own disk"),
    ("region: us", "regio: us", "provider.regio: does not exist; did you mean 'region'?"),
    ("type: aws", "type: awss", "provider.type.awss: does not exist; did you mean 'aws'?"),
    ("deploy: deploy", "deploy: deploi", "file_mounts.~/thaw/deploy: 'deploi' is not there"),
    ("ssh_user", "ssh_usr", "auth.ssh_usr: does not exist; did you mean 'ssh_user'?"),
    ("rsync_exclude: [", "docker: {image: i}\nrsync_exclude: [", "Ray refuses it: AssertionError"),
    (
        "worker_start_ray_commands:",
        "worker_setup_commands: pip\nworker_start_ray_commands:",
        "'pip': must be of type array",
    ),
]


@pytest.mark.parametrize(("right", "wrong", "told"), OF_AWS, ids=[wrong for _, wrong, _ in OF_AWS])
def test_mistakes_in_a_file_for_aws_are_told(right: str, wrong: str, told: str, tmp_path: Path) -> None:
    pytest.importorskip("botocore")
    text = filled("cluster.yaml")
    assert right in text
    (said, *_) = mistakes(tmp_path, text.replace(right, wrong, 1))
    assert told in said


def test_all_mistakes_of_a_kind_are_told_at_once(tmp_path: Path) -> None:
    text = filled("cluster.yaml").replace("max_workers: 4 ", "max_worker: 4 ").replace("GPU: 1,", "GPU: 0.5,")
    assert len(mistakes(tmp_path, text + "colour: red\n")) == 3


def test_without_botocore_a_note_says_what_was_not_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore.validate", None)
    (note,) = proved(tmp_path, filled("cluster.yaml").replace("g5.xlarge", "g5.xlargee")).notes
    assert note == "node_config: not checked, botocore is not installed (pip install boto3)"


OF_HOSTS = [
    ("id_ed25519", "id_rsa", "auth.ssh_private_key: '~/.ssh/id_rsa' is not there"),
    ("  head_ip: mine", "", "provider: needs head_ip"),
    ("auth:", "available_node_types: {h: {resources: {}, node_config: {}}}\nauth:", "is not for hosts that are there"),
    ("auth:", "min_workers: 0\nauth:", "min_workers: 0: Ray starts no host of this kind by need"),
]


@pytest.mark.parametrize(("right", "wrong", "told"), OF_HOSTS, ids=[told for *_, told in OF_HOSTS])
def test_mistakes_in_a_file_for_hosts_are_told(right: str, wrong: str, told: str, tmp_path: Path) -> None:
    text = filled("deploy/local.yaml")
    assert right in text
    assert told in mistakes(tmp_path, text.replace(right, wrong, 1))[0]


def test_google_needs_a_project(tmp_path: Path) -> None:
    assert (
        "provider: needs project_id" in mistakes(tmp_path, filled("deploy/gcp.yaml").replace("project_id: mine", ""))[0]
    )


OF_KUBERNETES = [
    ("apiVersion: ray.io/v1", "apiVersion: ray.io/v2", "apiVersion: 'ray.io/v2': must be ray.io/v1"),
    ("rayVersion: 2.60.0", "rayVersion: 2.9.0", "spec.rayVersion: '2.9.0': Ray is 2.60.0 here"),
    ("workerGroupSpecs:", "workerGroupSpec:", "spec.workerGroupSpec: does not exist; did you mean 'workerGroupSpecs'?"),
    ("      minReplicas: 0", "      minReplicas: 9", "minReplicas: 9 is more than maxReplicas: 4"),
    ("maxReplicas", "maxReplica", "maxReplica: does not exist; did you mean 'maxReplicas'?"),
    ("              image: mine", "", "needs a container with an image"),
    ('num-cpus: "0"', "num-cpus: 0", "rayStartParams.num-cpus: 0: must be text, in quotes"),
    ("kind: RayCluster", "kind: RayService", "kind: 'RayService' has no Ray nodes"),
    ("metadata:\n  name: thaw", "", ":1:1 needs metadata"),
]


@pytest.mark.parametrize(("right", "wrong", "told"), OF_KUBERNETES, ids=[told for *_, told in OF_KUBERNETES])
def test_mistakes_in_a_manifest_are_told(right: str, wrong: str, told: str, tmp_path: Path) -> None:
    text = filled("deploy/kuberay.yaml")
    assert right in text
    assert told in mistakes(tmp_path, text.replace(right, wrong, 1))[0]


def test_the_job_that_ships_is_right_and_runs_on_the_cluster_that_ships() -> None:
    job, cluster = (
        YAML(typ="safe").load((ROOT / "deploy" / file).read_text()) for file in ("kuberay-job.yaml", "kuberay.yaml")
    )
    assert list(manifest_findings(job)) == []
    assert job["spec"]["clusterSelector"] == {"ray.io/cluster": cluster["metadata"]["name"]}
    own = cluster["spec"] | {"rayVersion": "2.9.0"}
    job["spec"] = {
        "clusterSelector": {},
        "rayClusterSpec": own,
        "entripoint": "tuner",
        "shutdownAfterJobFinishes": True,
    }
    assert [text for _, text in manifest_findings(job)] == [
        "does not exist; did you mean 'entrypoint'?",
        "needs entrypoint",
        "needs either rayClusterSpec or clusterSelector",
        "is not for a cluster of another file; leave it out",
        f"'2.9.0': Ray is {version('ray')} here, and must be the same on all nodes",
    ]


def test_what_no_node_can_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--gpus-per-trial 2: no node type of .* can hold such a trial, now or later"):
        proved(tmp_path, filled("cluster.yaml"), gpus=2)


def places(part: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Of all values in a document."""
    if path:
        yield path
    pairs = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    for key, value in pairs:
        yield from places(value, (*path, key))


@pytest.mark.real
@pytest.mark.parametrize("file", CLUSTER_FILES)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), odd=st.sampled_from([None, "", "many", 7, -1, 0.5, True, [], {}, ["a"], {"a": "b"}, [[]]]))
def test_whatever_stands_anywhere_is_taken_or_refused_in_lines(
    file: str, data: st.DataObject, odd: object, tmp_path: Path
) -> None:
    config = YAML(typ="safe").load(filled(file))
    *path, last = data.draw(st.sampled_from(sorted(places(config), key=str)))
    part = config
    for key in path:
        part = part[key]
    part[last] = odd
    with suppress(UserError):
        proved(tmp_path, json.dumps(config))
