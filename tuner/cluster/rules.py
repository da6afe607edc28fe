"""Mistakes in a file for `ray up` that Ray finds late, or never."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tuner.cluster.findings import Finding, misspelt

_PROVIDERS = ("aws", "gcp", "azure", "local", "aliyun", "vsphere", "spark", "external", "readonly")
_PROVIDER_FIELDS = (
    "availability_zone",
    "aws_credentials",
    "cache_stopped_nodes",
    "cloudwatch",
    "coordinator_address",
    "disable_launch_config_check",
    "disable_node_updaters",
    "gcp_credentials",
    "head_ip",
    "module",
    "project_id",
    "region",
    "security_group",
    "tags",
    "type",
    "use_internal_ips",
    "worker_ips",
)
"""of the providers that files ship for; Ray takes any name without a word"""
_RESULTS = re.compile(r"THAW_RESULTS=[\"']?(?P<place>[^\s\"']+)")
_OWN_TO_A_NODE = ("~", "$HOME", "${HOME", "/home/", "/root/", "/tmp/", "/var/tmp/", "./", "../")
"""beginnings of folders that hosts hardly ever share; a search that starts finds out for sure"""


def rule_findings(config: Mapping[str, Any]) -> Iterator[Finding]:
    """Mistakes in a file that keeps Ray's schema."""
    provider = config["provider"]
    yield from misspelt(("provider",), provider, _PROVIDER_FIELDS)
    yield from misspelt(("provider", "type"), [provider["type"]], _PROVIDERS)
    yield from _OF_PROVIDER.get(provider["type"], _of_nodes)(config)
    yield from _missing_files(config)
    yield from _local_results(config)


def _local_results(config: Mapping[str, Any]) -> Iterator[Finding]:
    for section in ("setup_commands", "head_setup_commands"):
        for number, command in enumerate(config.get(section) or ()):
            found = _RESULTS.search(str(command))
            if found and found["place"].startswith(_OWN_TO_A_NODE):
                yield (
                    (section, number),
                    f"THAW_RESULTS={found['place']} is on each node's own disk: put results on s3://..., or into a "
                    "folder that all nodes mount",
                )


def _of_nodes(config: Mapping[str, Any]) -> Iterator[Finding]:
    most = config.get("max_workers")
    for name, kind in config.get("available_node_types", {}).items():
        path = ("available_node_types", name)
        least, own = kind.get("min_workers", 0), kind.get("max_workers")
        if own is not None and least > own:
            yield (*path, "min_workers"), f"{least} is more than max_workers: {own}"
        if own is None and most is not None and least > most and name != config.get("head_node_type"):
            yield (*path, "min_workers"), f"{least} is more than the cluster's max_workers: {most}"


def _of_google(config: Mapping[str, Any]) -> Iterator[Finding]:
    yield from _of_nodes(config)
    if not config["provider"].get("project_id"):
        yield ("provider",), "needs project_id: the project that pays"


def _of_hosts(config: Mapping[str, Any]) -> Iterator[Finding]:
    for field in ("available_node_types", "head_node_type", "head_node", "worker_nodes"):
        if config.get(field):
            yield (field,), "is not for hosts that are there (provider: local); leave it out"
    provider = config["provider"]
    if "coordinator_address" in provider:
        return
    yield from ((("provider",), f"needs {field}") for field in ("head_ip", "worker_ips") if not provider.get(field))
    least = config.get("min_workers")
    if least is not None and least < len(provider.get("worker_ips") or ()):
        yield ("min_workers",), f"{least}: Ray starts no host of this kind by need; leave it out, for all worker_ips"


_OF_PROVIDER: Mapping[str, Callable[[Mapping[str, Any]], Iterator[Finding]]] = {"gcp": _of_google, "local": _of_hosts}


def _missing_files(config: Mapping[str, Any]) -> Iterator[Finding]:
    named = {("file_mounts", remote): local for remote, local in config.get("file_mounts", {}).items()}
    named |= {("auth", key): config.get("auth", {}).get(key) for key in ("ssh_private_key", "ssh_public_key")}
    for path, local in named.items():
        if local is not None and not Path(str(local)).expanduser().exists():
            yield path, f"{local!r} is not there, seen from {Path.cwd()}, where `ray up` would run"
