"""Messages on their way through the process that hands them over."""

from __future__ import annotations

import sys

import pytest
from loopback_service import SECRET, Service
from pydantic import SecretStr

from trainable.errors import UserError
from tuner.notifications.delivery import deliver, prove_channels
from tuner.notifications.messages import Message

MESSAGE = Message("Search birds is complete", "1 t0001: 0.7", "success")


def channels(*addresses: str) -> list[SecretStr]:
    return [SecretStr(address) for address in addresses]


@pytest.mark.real
def test_what_goes_wrong_is_told_without_the_address(service: Service) -> None:
    given = channels(service.url(), service.url(f"refuse/{SECRET}"), f"json://{SECRET}@127.0.0.1:1/")
    told = deliver(given, MESSAGE, seconds=120)
    assert [line.partition(":")[0] for line in told] == ["--notify 2 (json)", "--notify 3 (json)"]
    assert all("'Search birds is complete' was not delivered (it was refused" in line for line in told)
    assert SECRET not in "".join(told)
    assert len(service.taken) == 1


@pytest.mark.real
def test_a_service_that_hangs_is_given_up(service: Service) -> None:
    (told,) = deliver(channels(service.url("hang")), MESSAGE, seconds=3)
    assert told == "--notify 1 (json): 'Search birds is complete' was not delivered (no answer in 3 s)"


@pytest.mark.real
def test_addresses_that_nothing_understands_are_lines(service: Service) -> None:
    prove_channels(channels(service.url()))
    with pytest.raises(UserError) as caught:
        prove_channels(channels(service.url(), f"nosuchservice://{SECRET}", SECRET))
    assert [mistake.partition(":")[0] for mistake in caught.value.mistakes] == [
        "--notify 2 (nosuchservice)",
        "--notify 3",
    ]
    assert SECRET not in str(caught.value.mistakes)
    assert service.taken == []


def test_a_missing_extra_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    prove_channels([])
    with pytest.raises(UserError, match=r"pip install 'thaw-tuner\[notify\]'"):
        prove_channels(channels("json://localhost"))
