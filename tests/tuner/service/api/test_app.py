"""What the server's process holds, and how it describes itself."""

from __future__ import annotations

import subprocess
import sys

import pytest
from small_service import SmallService

from tuner.service.problems import MEDIA_TYPE


def test_the_server_needs_neither_torch_nor_ray() -> None:
    found = "sorted({'torch', 'ray', 'optuna', 'matplotlib', 'pandas', 'sklearn'} & set(sys.modules))"
    program = f"import sys, tuner.service.api.app; print({found})"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout.strip() == "[]"


def test_everything_under_v1_is_described(service: SmallService) -> None:
    described = service.client.get("/v1/openapi.json").json()
    operations = [
        (path, verb, operation)
        for path, verbs in described["paths"].items()
        for verb, operation in verbs.items()
        if path.startswith("/v1/")
    ]
    assert len(operations) > 10
    names = [operation["operationId"] for _, _, operation in operations]
    assert len(set(names)) == len(names)
    tags = {tag["name"] for tag in described["tags"]}
    for path, verb, operation in operations:
        assert operation["summary"], path
        assert operation["description"], path
        assert set(operation["tags"]) <= tags, path
        assert operation["security"] == [{"HTTPBearer": []}], path
        assert {"401", "403", "429"} <= operation["responses"].keys(), path
        assert ("404" in operation["responses"]) == ("{" in path), path
        if verb in ("post", "delete"):
            assert {"409"} <= operation["responses"].keys() or path in ("/v1/data",), path
        for status, answer in operation["responses"].items():
            if status >= "400":
                assert list(answer["content"]) == [MEDIA_TYPE], (path, status)


@pytest.mark.parametrize("schema", ["Submission", "SearchAnswer"])
def test_bodies_have_examples(service: SmallService, schema: str) -> None:
    described = service.client.get("/v1/openapi.json").json()
    submit = described["paths"]["/v1/searches"]["post"]
    assert "examples" in submit["requestBody"]["content"]["application/json"]
    assert schema in described["components"]["schemas"]
