"""A ClearML server in memory: the endpoints that the tracker asks, as strict as the real one's, and faults on demand.

What is refused here is refused there: short names, unknown ids and fields, states that do not follow, events that are
no numbers. Events have the real server's ids, so that one that comes twice is one.
"""

from __future__ import annotations

import base64
import json
import math
import re
import threading
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import unquote

import jwt

KEY, SECRET = "ACCESSKEY", "SECRETKEY"
Fault = Literal["401", "500", "503", "slow", "drop", "answer lost"]
"""`drop`: the connection is closed and nothing done; `answer lost`: it is done, and then the connection is closed"""
Task = dict[str, Any]

_TYPES = {"training", "testing", "inference", "optimizer", "controller", "data_processing", "monitor", "custom"}
_FOLLOWS = {
    "created": {"queued", "in_progress"},
    "in_progress": {"stopped", "failed", "created", "completed"},
    "stopped": {"closed", "created", "failed", "in_progress", "published", "completed"},
    "failed": {"created", "stopped", "published"},
    "completed": {"published", "in_progress", "created"},
}
_EDITABLE = {"name", "type", "tags", "comment", "parent", "project", "script", "hyperparams", "configuration"}
_EDITABLE |= {"models", "execution", "system_tags"}
_STATUS_FIELDS = {"task", "force", "status_reason", "status_message"}
SLOW_SECONDS = 0.2


class RefusalError(Exception):
    def __init__(self, subcode: int, message: str) -> None:
        super().__init__(message)
        self.subcode = subcode


@dataclass
class FakeClearML:
    """What the server holds. Read it, change it as people do, and put faults into `faults`."""

    projects: dict[str, Task] = field(default_factory=dict)
    tasks: dict[str, Task] = field(default_factory=dict)
    models: dict[str, Task] = field(default_factory=dict)
    events: dict[tuple[Any, ...], dict[str, Any]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    requests: Counter[str] = field(default_factory=Counter)
    faults: dict[str, list[Fault]] = field(default_factory=lambda: defaultdict(list))
    """endpoint, or `*` for any -> what happens to the next requests to it"""
    hangs: set[str] = field(default_factory=set)
    """endpoints that do not answer, until they are taken out again"""
    has_file_server: bool = True
    is_up: bool = True
    url: str = ""
    lock: threading.RLock = field(default_factory=threading.RLock)

    def named(self, name: str) -> Task:
        """The only task of this name."""
        (task,) = [task for task in self.tasks.values() if task["name"] == name]
        return task

    def scalars(self, task: str) -> dict[tuple[str, str], dict[int, float]]:
        """(title, series) -> iteration -> value"""
        found: dict[tuple[str, str], dict[int, float]] = defaultdict(dict)
        for event in self.events.values():
            if event["task"] == task and event["type"] == "training_stats_scalar":
                found[event["metric"], event["variant"]][event["iter"]] = event["value"]
        return dict(found)

    def plots(self, task: str) -> dict[tuple[str, str], Any]:
        """(title, series) -> Plotly figure"""
        found = [event for event in self.events.values() if event["task"] == task and event["type"] == "plot"]
        return {(event["metric"], event["variant"]): json.loads(event["plot_str"]) for event in found}

    def abort(self, task: str, by: str = "Ada") -> None:
        """What the page's button does."""
        self.tasks[task] |= {"status": "stopped", "status_message": f"Stopped by {by}", "status_reason": ""}

    # --- endpoints ---

    def projects_get_all(self, given: Task) -> Any:
        _only(given, {"name", "only_fields", "page", "page_size", "id"})
        found = [one for one in self.projects.values() if re.search(given.get("name", ""), one["name"])]
        return {"projects": found}

    def projects_create(self, given: Task) -> Any:
        _only(given, {"name", "description", "tags"})
        if not isinstance(given.get("description"), str):
            raise RefusalError(12, "Validation error (missing description)")
        name = given["name"]
        if any(not part.strip() for part in name.split("/")):
            raise RefusalError(12, "Project name cannot be blank")
        if any(len(part) < 3 for part in name.split("/")):
            raise RefusalError(800, "name=String value is too short")
        if any(one["name"] == name for one in self.projects.values()):
            raise RefusalError(18, "Project with the same name already exists")
        return {"id": self._new(self.projects, given)}

    def tasks_create(self, given: Task) -> Any:
        _only(given, _EDITABLE)
        self._validate(given)
        blank = {"status": "created", "tags": [], "models": {"input": [], "output": []}, "execution": {}}
        return {"id": self._new(self.tasks, blank | given)}

    def tasks_edit(self, given: Task) -> Any:
        _only(given, _EDITABLE | {"task", "force"})
        task = self._task(given)
        if task["status"] != "created" and not given.get("force"):
            raise RefusalError(110, f"Invalid task status: expected=created, status={task['status']}")
        changed = {name: value for name, value in given.items() if name not in ("task", "force")}
        self._validate(task | changed)
        task.update(changed)
        return {"updated": 1}

    def tasks_get_all(self, given: Task) -> Any:
        _only(given, {"id", "parent", "type", "only_fields", "page", "page_size", "project", "tags"})
        found = []
        for task in self.tasks.values():
            fits = all(task.get(name) in given[name] for name in ("id", "parent", "type", "project") if name in given)
            if fits and ("tags" not in given or set(given["tags"]) & set(task["tags"])):
                fields = [*given.get("only_fields", task), "id"]
                found.append({name: task[name] for name in fields if name in task})
        size = min(given.get("page_size", 500), 500)
        start = given.get("page", 0) * size
        return {"tasks": found[start : start + size]}

    def tasks_started(self, given: Task) -> Any:
        return self._change(given, "in_progress")

    def tasks_stopped(self, given: Task) -> Any:
        return self._change(given, "stopped")

    def tasks_completed(self, given: Task) -> Any:
        return self._change(given, "completed")

    def tasks_failed(self, given: Task) -> Any:
        return self._change(given, "failed")

    def tasks_ping(self, given: Task) -> Any:
        _only(given, {"task"})
        self._task(given)
        return {}

    def models_get_all(self, given: Task) -> Any:
        _only(given, {"task", "only_fields"})
        return {"models": [model for model in self.models.values() if model.get("task") in given["task"]]}

    def models_create(self, given: Task) -> Any:
        _only(given, {"uri", "name", "comment", "tags", "framework", "task", "project", "labels", "ready"})
        if not given.get("uri") or not given.get("name"):
            raise RefusalError(12, "Validation error (uri and name are required)")
        self._task(given)
        return {"id": self._new(self.models, given), "created": True}

    def models_edit(self, given: Task) -> Any:
        _only(given, {"model", "uri", "name", "comment", "tags", "framework"})
        if given["model"] not in self.models:
            raise RefusalError(201, "Invalid model id")
        self.models[given["model"]].update({name: value for name, value in given.items() if name != "model"})
        return {"updated": 1}

    def events_add_batch(self, lines: list[Task]) -> Any:
        problems: Counter[str] = Counter()
        for event in lines:
            problem = self._problem(event)
            if problem:
                problems[problem] += 1
            else:
                self.events[tuple(event[name] for name in ("task", "iter", "metric", "variant"))] = event
        if lines and sum(problems.values()) == len(lines):
            raise RefusalError(1000, f"Events not added: {dict(problems)}")
        errors = sum(problems.values())
        return {"added": len(lines) - errors, "errors": errors, "errors_info": dict(problems)}

    # --- rules ---

    def _new(self, table: dict[str, Task], given: Task) -> str:
        id = uuid.uuid4().hex
        table[id] = {**given, "id": id}
        return id

    def _task(self, given: Task) -> Task:
        if given.get("task") not in self.tasks:
            raise RefusalError(101, f"Invalid task id: id={given.get('task')}")
        return self.tasks[given["task"]]

    def _validate(self, task: Task) -> None:
        if len(task.get("name") or "") < 3:
            raise RefusalError(800, "Value does not match: name=String value is too short")
        if task.get("type") not in _TYPES:
            raise RefusalError(800, f"Value must be one of {_TYPES}: type")
        if "parent" in task and task["parent"] not in self.tasks:
            raise RefusalError(101, "Invalid task id: invalid parent")
        if task.get("project") not in self.projects:
            raise RefusalError(401, "Invalid project id")
        for section, items in task.get("hyperparams", {}).items():
            for name, item in items.items():
                texts = all(isinstance(value, str) for value in item.values())
                if not texts or (item.get("section"), item.get("name")) != (section, name) or "value" not in item:
                    raise RefusalError(12, f"Validation error: hyperparams {section}/{name}: {item}")
        for artifact in task.get("execution", {}).get("artifacts", []):
            if not artifact.get("key") or not artifact.get("type") or not isinstance(artifact.get("timestamp"), int):
                raise RefusalError(12, f"Validation error: artifact {artifact}")
        for model in task.get("models", {}).get("output", []):
            if model.keys() != {"name", "model"}:
                raise RefusalError(12, f"Validation error: model {model}")
        if not all(isinstance(tag, str) and tag for tag in task.get("tags", [])):
            raise RefusalError(12, "Validation error: tags")

    def _change(self, given: Task, status: str) -> Any:
        _only(given, _STATUS_FIELDS)
        task = self._task(given)
        if status not in _FOLLOWS[task["status"]] and status != task["status"] and not given.get("force"):
            raise RefusalError(110, f"Invalid status change: {task['status']} to {status}")
        told = {name: given.get(name, "") for name in ("status_reason", "status_message")}
        task.update({"status": status, **told, "history": [*task.get("history", []), status]})
        return {"updated": 1}

    def _problem(self, event: Task) -> str:
        if event.get("type") not in ("training_stats_scalar", "plot"):
            return f"Invalid event type {event.get('type')}"
        if event.get("task") not in self.tasks:
            return "Invalid task id"
        if not isinstance(event.get("iter"), int) or not isinstance(event.get("timestamp"), int):
            return "Iteration and timestamp must be integers"
        if event["type"] == "plot":
            return "" if isinstance(json.loads(event["plot_str"], parse_constant=_no_json), dict) else "Invalid plot"
        value = event.get("value")
        return "" if isinstance(value, int | float) and math.isfinite(value) else f"Invalid value {value}"


def _no_json(constant: str) -> float:
    raise RefusalError(12, f"{constant} is not JSON, and no page can draw it")


def _only(given: Mapping[str, Any], fields: set[str]) -> None:
    if unknown := given.keys() - fields:
        raise RefusalError(12, f"Validation error: unknown fields {sorted(unknown)}")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fake: FakeClearML

    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if not self.fake.is_up:
            return self._hang_up()
        endpoint = re.sub(r"^/(v[\d.]+/)?", "", self.path)
        with self.fake.lock:
            self.fake.requests[endpoint] += 1
            faults = self.fake.faults[endpoint] or self.fake.faults["*"]
            fault = faults.pop(0) if faults else None
        while endpoint in self.fake.hangs and self.fake.is_up:
            time.sleep(SLOW_SECONDS / 10)
        if fault == "slow":
            time.sleep(SLOW_SECONDS)
        if fault == "drop":
            return self._hang_up()
        if fault in ("401", "500", "503"):
            return self._answer(int(fault), 0, f"fault {fault}", None)
        if endpoint == "" or "." not in endpoint.split("/")[0]:
            return self._serve_file(body)
        code, subcode, message, data = self._ask(endpoint, body)
        if fault == "answer lost":
            return self._hang_up()
        return self._answer(code, subcode, message, data)

    def _ask(self, endpoint: str, body: bytes) -> tuple[int, int, str, Any]:
        if endpoint == "debug.ping":
            return 200, 0, "OK", {}
        authorization = self.headers.get("Authorization", "")
        if endpoint == "auth.login":
            known = base64.b64encode(f"{KEY}:{SECRET}".encode()).decode()
            if authorization != f"Basic {known}":
                return 401, 20, "Unauthorized (invalid credentials)", None
            return 200, 0, "OK", {"token": _token()}
        if not authorization.startswith("Bearer "):
            return 401, 21, "Unauthorized (missing token)", None
        lines = [json.loads(line) for line in body.splitlines() if line.strip()]
        given: Any = lines if endpoint == "events.add_batch" else lines[0]
        method: Callable[[Any], Any] | None = getattr(self.fake, endpoint.replace(".", "_"), None)
        if method is None:
            return 400, 0, f"Invalid endpoint {endpoint}", None
        with self.fake.lock:
            try:
                return 200, 0, "OK", method(given)
            except RefusalError as refusal:
                return 400, refusal.subcode, str(refusal), None

    def _serve_file(self, body: bytes) -> None:
        if not self.fake.has_file_server:
            return self._hang_up()
        for name, content in re.findall(rb'name="([^"]+)"; filename=.*?\r\n\r\n(.*?)\r\n--', body, re.DOTALL):
            self.fake.files[unquote(name.decode()).lstrip("/")] = content
        return self._send(200, b"OK")

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.close()

    def _answer(self, code: int, subcode: int, message: str, data: Any) -> None:
        meta = {"result_code": code, "result_subcode": subcode, "result_msg": message, "id": "1", "trx": "1"}
        self._send(code, json.dumps({"meta": meta, "data": data or {}}).encode())

    def _send(self, code: int, content: bytes) -> None:
        head = f"HTTP/1.1 {code} OK\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        self.wfile.write(head.encode() + content)


def _token() -> str:
    now = int(time.time())
    told = {"iat": now, "exp": now + 3600, "api_version": "2.31", "server_version": "2.3.0", "feature_set": "basic"}
    return jwt.encode(told | {"env": "test", "auth_type": "Bearer"}, "a secret of thirty-two bytes or so")


@contextmanager
def serving(fake: FakeClearML, port: int = 0) -> Iterator[str]:
    """Have it answer on a port of its own (0: a free one); gives its URL."""
    handler = type("_Bound", (_Handler,), {"fake": fake})
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    fake.is_up = True
    fake.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield fake.url
    finally:
        fake.is_up = False  # for connections that are kept open
        server.shutdown()
        server.server_close()
        thread.join()


def environment(url: str) -> dict[str, str]:
    """Variables by which ClearML's SDK finds the server."""
    hosts = {f"CLEARML_{name}_HOST": url for name in ("API", "WEB", "FILES")}
    return {**hosts, "CLEARML_API_ACCESS_KEY": KEY, "CLEARML_API_SECRET_KEY": SECRET}
