"""`cluster.yaml` up to the machines that it would start, on an AWS that is played in this process."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from small_clusters import ROOT, filled

pytestmark = pytest.mark.real
moto = pytest.importorskip("moto")


@pytest.fixture(autouse=True)
def _nobodys_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray writes the key that it makes into ~/.ssh."""
    (tmp_path / ".ssh").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "nobody")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.chdir(ROOT)


def started(config: dict[str, Any], role: str, kind: str) -> None:
    """Start one machine as Ray does."""
    from ray.autoscaler import tags
    from ray.autoscaler._private.aws.node_provider import AWSNodeProvider

    marks = {
        tags.TAG_RAY_NODE_KIND: role,
        tags.TAG_RAY_USER_NODE_TYPE: kind,
        tags.TAG_RAY_NODE_NAME: kind,
        tags.TAG_RAY_LAUNCH_CONFIG: "none",
        tags.TAG_RAY_NODE_STATUS: "up-to-date",
    }
    node_config = copy.deepcopy(config["available_node_types"][kind]["node_config"])
    AWSNodeProvider(config["provider"], config["cluster_name"]).create_node(node_config, marks, 1)


def test_head_and_worker_start_as_the_file_says() -> None:
    import boto3
    from ray.autoscaler._private.aws.node_provider import AWSNodeProvider
    from ray.autoscaler._private.util import prepare_config

    config = YAML(typ="safe").load(filled("cluster.yaml"))
    with moto.mock_aws():
        for kind in config["available_node_types"].values():
            profile = kind["node_config"]["IamInstanceProfile"]["Name"]
            boto3.client("iam").create_instance_profile(InstanceProfileName=profile)
        ec2 = boto3.client("ec2", region_name=config["provider"]["region"])
        image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
        for kind in config["available_node_types"].values():
            kind["node_config"]["ImageId"] = image

        prepared = prepare_config(copy.deepcopy(config))
        prepared["available_node_types"]["gpu"]["resources"] = {}
        told = AWSNodeProvider.fillout_available_node_types_resources(prepared)
        of_gpu = told["available_node_types"]["gpu"]["resources"]
        assert of_gpu.pop("memory")
        assert of_gpu == config["available_node_types"]["gpu"]["resources"]

        ready = AWSNodeProvider.bootstrap_config(told)
        started(ready, "head", "head")
        started(ready, "worker", "gpu")
        found = [each for one in ec2.describe_instances()["Reservations"] for each in one["Instances"]]
        volumes = ec2.describe_volumes()["Volumes"]

    head, worker = found
    assert (head["InstanceType"], head.get("InstanceLifecycle")) == ("m5.xlarge", None)
    assert (worker["InstanceType"], worker["InstanceLifecycle"]) == ("g5.xlarge", "spot")
    assert [each["IamInstanceProfile"]["Arn"].rpartition("/")[2] for each in found] == ["thaw-head", "thaw-worker"]
    assert {each["MetadataOptions"]["HttpTokens"] for each in found} == {"required"}
    assert {(volume["Size"], volume["Encrypted"]) for volume in volumes} == {(150, True)}
    assert all(each["BlockDeviceMappings"][0]["Ebs"]["DeleteOnTermination"] for each in found)
