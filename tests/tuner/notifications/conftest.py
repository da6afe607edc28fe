from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from loopback_service import Service


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service()
    serving = threading.Thread(target=service.server.serve_forever, kwargs={"poll_interval": 0.01})
    serving.start()
    yield service
    service.over.set()
    service.server.shutdown()
    serving.join()
    service.server.server_close()
