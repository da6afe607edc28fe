"""What a cloud tells a machine about its own end."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Protocol

_TIMEOUT_SECONDS = 2.0
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""no proxy could ask another machine's metadata service for us"""


class Cloud(Protocol):
    """Tells of its notices."""

    def end(self) -> datetime | None:
        """When this machine will be taken away; None: that is not announced.

        Raises:
            OSError: the service cannot be reached, or does not answer as it should.
        """


class Aws:
    """Spot instances, by version 2 of the service, about two minutes beforehand.

    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html
    """

    _TOKEN_SECONDS = 6 * 3600

    def __init__(self) -> None:
        self._base = os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://169.254.169.254").rstrip("/")
        self._token: str | None = None

    def end(self) -> datetime | None:
        """As `Cloud.end`."""
        try:
            if self._token is None:
                lives = {"X-aws-ec2-metadata-token-ttl-seconds": str(self._TOKEN_SECONDS)}
                self._token = _ask(f"{self._base}/latest/api/token", lives, method="PUT")
            told = _ask(
                f"{self._base}/latest/meta-data/spot/instance-action", {"X-aws-ec2-metadata-token": self._token}
            )
        except urllib.error.HTTPError as error:
            if error.code == 404:  # nothing announced
                return None
            self._token = None  # 401: it has expired
            raise
        return _time(told)


class Gcp:
    """Spot machines: half a minute beforehand.

    https://cloud.google.com/compute/docs/instances/create-use-preemptible
    """

    _WARNING = timedelta(seconds=30)

    def __init__(self) -> None:
        self._base = f"http://{os.environ.get('GCE_METADATA_HOST', 'metadata.google.internal')}"

    def end(self) -> datetime | None:
        """As `Cloud.end`."""
        told = _ask(f"{self._base}/computeMetadata/v1/instance/preempted", {"Metadata-Flavor": "Google"})
        return datetime.now(UTC) + self._WARNING if told.strip() == "TRUE" else None


class Kubernetes:
    """A pod that has been told to end, which is when Kubernetes calls this.

    https://kubernetes.io/docs/concepts/containers/container-lifecycle-hooks/
    """

    _GRACE = timedelta(seconds=30)

    def end(self) -> datetime | None:
        """As `Cloud.end`."""
        return datetime.now(UTC) + self._GRACE


CLOUDS: Mapping[str, Callable[[], Cloud]] = {"aws": Aws, "gcp": Gcp, "kubernetes": Kubernetes}


def _ask(url: str, headers: Mapping[str, str], method: str = "GET") -> str:
    request = urllib.request.Request(url, headers=dict(headers), method=method)
    with _DIRECT.open(request, timeout=_TIMEOUT_SECONDS) as answer:
        content: bytes = answer.read()
    return content.decode(errors="replace")


def _time(told: str) -> datetime:
    try:
        return datetime.fromisoformat(json.loads(told)["time"]).astimezone(UTC)
    except (ValueError, KeyError, TypeError):
        raise OSError(f"a notice without a time: {told[:200]!r}") from None
