"""What Ray itself says of a cluster's file. `ray up` has no dry run: these are the steps that it begins with."""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from trainable.errors import nearest
from tuner.cluster.findings import Finding, unknown

_LOCAL_ONLY = ("min_workers",)
"""that Ray takes out of a file with provider: local before it validates it"""


def schema_findings(config: Mapping[str, Any]) -> list[Finding]:
    """Where a file does not keep Ray's own schema."""
    import jsonschema
    import ray.autoscaler

    schema = json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text(encoding="utf-8"))
    provider = config.get("provider")
    local = isinstance(provider, dict) and provider.get("type") == "local"
    checked = {key: value for key, value in config.items() if not (local and key in _LOCAL_ONLY)}
    errors = jsonschema.Draft7Validator(schema).iter_errors(checked)
    return [finding for error in errors for finding in _told(error)]


def _told(error: Any) -> list[Finding]:
    path = tuple(error.absolute_path)
    if error.validator == "additionalProperties":
        return list(unknown(path, error.instance, error.schema["properties"]))
    if error.validator == "required":
        missing = [field for field in error.validator_value if field not in error.instance]
        return [(path, f"needs {field}{nearest(field, error.instance)}") for field in missing]
    if error.validator == "type":
        return [(path, f"{error.instance!r}: must be of type {error.validator_value}")]
    return [(path, error.message)]


def refusal(config: Mapping[str, Any]) -> list[Finding]:
    """Why Ray, and its autoscaler, do not take a file that keeps the schema; nothing, where they do."""
    from ray.autoscaler._private.util import prepare_config, validate_config
    from ray.autoscaler.v2.instance_manager.config import AutoscalingConfig

    def read() -> None:
        validate_config(prepare_config(copy.deepcopy(dict(config))))
        AutoscalingConfig(copy.deepcopy(dict(config))).get_node_type_configs()

    return _refused(read)


def manifest_refusal(manifest: Mapping[str, Any]) -> list[Finding]:
    """Why Ray's autoscaler does not take a KubeRay manifest's cluster; nothing, where it does or there is none."""
    from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr
    from ray.autoscaler._private.util import validate_config

    spec = manifest["spec"] if manifest["kind"] == "RayCluster" else manifest["spec"].get("rayClusterSpec")
    if spec is None:
        return []
    metadata = {"namespace": "default", **manifest["metadata"]}

    def read() -> None:
        resource = {"metadata": metadata, "spec": copy.deepcopy(spec)}
        validate_config(_derive_autoscaling_config_from_ray_cr(resource))

    return _refused(read)


def _refused(read: Callable[[], None]) -> list[Finding]:
    """Ray's refusals are of many classes, and some are printed as well: for those who ask, each is one line."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with redirect_stdout(StringIO()):
            read()
    except Exception as error:
        return [((), f"Ray refuses it: {type(error).__name__}: {' '.join(str(error).split())[:500]}")]
    finally:
        logging.disable(before)
    return []
