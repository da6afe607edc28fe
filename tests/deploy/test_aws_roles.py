"""`deploy/aws-roles.sh`, with AWS played by moto behind a stub of the `aws` command."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from small_clusters import ROOT

pytestmark = pytest.mark.real
moto = pytest.importorskip("moto")


def calls(folder: Path) -> list[list[str]]:
    """What the script asks of `aws`, an argument a line."""
    (folder / "aws").write_text('#!/bin/sh\n{ printf "%s\\n" "$@"; echo; } >> "$CALLS"\n')
    (folder / "aws").chmod(0o755)
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "CALLS": str(folder / "calls")}
    subprocess.run(["sh", ROOT / "deploy" / "aws-roles.sh", "photos"], env=environment, check=True)
    return [call.splitlines() for call in (folder / "calls").read_text().strip().split("\n\n")]


def test_both_roles_exist_and_only_the_head_may_start_machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import boto3

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "nobody")
    monkeypatch.setenv("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")
    with moto.mock_aws():
        iam = boto3.client("iam")
        for _, verb, *options in calls(tmp_path):
            names = [re.sub(r"(^|-)(\w)", lambda found: found[2].upper(), option[2:]) for option in options[::2]]
            getattr(iam, verb.replace("-", "_"))(**dict(zip(names, options[1::2], strict=True)))
        profiles = iam.list_instance_profiles()["InstanceProfiles"]
        assert {one["InstanceProfileName"]: one["Roles"][0]["RoleName"] for one in profiles} == {
            "thaw-head": "thaw-head",
            "thaw-worker": "thaw-worker",
        }
        assert iam.list_attached_role_policies(RoleName="thaw-worker")["AttachedPolicies"] == []
        files = iam.get_role_policy(RoleName="thaw-worker", PolicyName="files")["PolicyDocument"]
        assert files["Statement"][0]["Resource"] == "arn:aws:s3:::photos/*"
        passed = iam.get_role_policy(RoleName="thaw-head", PolicyName="workers")["PolicyDocument"]
        assert passed["Statement"][0]["Resource"].endswith(":role/thaw-worker")
