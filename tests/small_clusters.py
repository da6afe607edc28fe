"""The cluster files that ship, with a user's values in place of what must be changed."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[1]
CLUSTER_FILES = ["cluster.yaml", "deploy/gcp.yaml", "deploy/kuberay.yaml", "deploy/local.yaml"]


def filled(file: str) -> str:
    """A shipped file's text without placeholders; an AMI's name looks like one."""
    text = (ROOT / file).read_text(encoding="utf-8")
    return text.replace("ImageId: CHANGE-ME", "ImageId: ami-12345678").replace("CHANGE-ME", "mine")
