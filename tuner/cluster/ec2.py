"""Keys of an AWS node's `node_config`, against botocore's own description of EC2's RunInstances; nothing is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from trainable.errors import nearest
from tuner.cluster.findings import Finding, Path, unknown

if TYPE_CHECKING:
    from botocore.model import Shape

_OF_RAY = ("SubnetIds",)
"""fields that Ray takes out before it asks EC2"""


def ec2_findings(config: Mapping[str, Any]) -> Iterator[Finding]:
    """Mistakes in what a file says of its machines.

    Raises:
        ImportError: botocore is not installed.
    """
    from botocore.validate import ParamValidator

    shape = _request()
    for name, kind in config.get("available_node_types", {}).items():
        path = ("available_node_types", name, "node_config")
        asked = {key: value for key, value in kind["node_config"].items() if key not in _OF_RAY}
        found = list(_findings(shape, asked, path))
        yield from found
        report = ParamValidator().validate({**asked, "MinCount": 1, "MaxCount": 1}, shape)
        if not found and report.has_errors():
            yield path, " ".join(report.generate_report().split())


@cache
def _request() -> Shape:
    from botocore.session import get_session

    return get_session().get_service_model("ec2").operation_model("RunInstances").input_shape


def _findings(shape: Shape, value: Any, path: Path) -> Iterator[Finding]:
    """Names and choices that do not exist; botocore's validator knows nothing of choices."""
    if shape.type_name == "structure" and isinstance(value, dict):
        yield from unknown(path, value, shape.members)
        for key in value.keys() & shape.members.keys():
            yield from _findings(shape.members[key], value[key], (*path, key))
    elif shape.type_name == "list" and isinstance(value, list):
        for place, item in enumerate(value):
            yield from _findings(shape.member, item, (*path, place))
    elif shape.type_name == "string" and shape.enum and value not in shape.enum:
        yield path, f"{value!r} does not exist{nearest(str(value), shape.enum)}"
