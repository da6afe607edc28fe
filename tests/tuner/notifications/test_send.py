from __future__ import annotations

from pathlib import Path

from loopback_service import Service

from tuner.notifications.send import send

MESSAGE = {"title": "Search a<b>|*c* is complete", "body": "1= t0001: 0.7\nresults: r", "kind": "success"}


def answers_of(channels: list[str], message: dict[str, str] | None = MESSAGE) -> dict[int, str]:
    answers: dict[int, str] = {}
    send(channels, message, answers.__setitem__)
    return answers


def test_a_message_arrives_as_it_is(service: Service) -> None:
    assert answers_of([service.url()]) == {0: "done"}
    (told,) = service.taken
    assert (told["title"], told["message"], told["type"]) == (MESSAGE["title"], MESSAGE["body"], "success")


def test_each_channel_has_an_answer_of_its_own(service: Service) -> None:
    given = [service.url("refuse"), service.url(), "nosuchservice://x", "json://127.0.0.1:1/"]
    assert answers_of(given) == {0: "failed", 1: "done", 2: "unknown", 3: "failed"}
    assert len(service.taken) == 1


def test_a_file_holds_addresses(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "where.txt"
    file.write_text(f"{service.url('a')}\n{service.url('b')}\n")
    assert answers_of([str(file)]) == {0: "done"}
    assert len(service.taken) == 2


def test_nothing_is_sent_to_find_out_what_is_understood(service: Service, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("")
    assert answers_of([service.url(), str(tmp_path / "empty.txt")], None) == {0: "done", 1: "unknown"}
    assert service.taken == []
