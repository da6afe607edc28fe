"""Commands that run on a cluster's head, through Ray Jobs: they outlive whoever has asked for them."""

from __future__ import annotations

import asyncio
import logging
import shlex
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainable.errors import UserError
from tuner.ray_backend.token import use_token
from tuner.ray_backend.tunnel import dashboard

_TALKATIVE = ("dashboard.modules.dashboard_sdk", "dashboard.modules.job.sdk", "_private.runtime_env.packaging")
"""what of Ray tells of uploads and connections"""
NOT_FOUND = 127
"""a shell's exit code where there is no such command"""
AGENT_SECONDS, AGENT_REST_SECONDS = 60.0, 1.0
"""how long a head may take from when its dashboard answers until it takes jobs, and between two tries"""


@dataclass(frozen=True)
class Shipped:
    """An argument that is a file of this machine; the command on the head is given a copy."""

    file: Path


Argument = str | Shipped


@dataclass(frozen=True)
class Job:
    """A command that was handed to a cluster."""

    id: str
    entrypoint: str
    runs: bool = True


class Jobs:
    """The jobs of one cluster. Made by `jobs_of`."""

    def __init__(self, client: Any, cluster: str) -> None:
        self._client = client
        self._cluster = cluster

    def start(self, arguments: Sequence[Argument], name: str, search: str = "") -> Job:
        """Have `tuner` run with these arguments on the head, and return at once.

        It runs in the home folder there, which relative paths are relative to.

        Args:
            name: what the job's id begins with
            search: the name of the one that it runs, by which `running` finds it
        """
        entrypoint = f'files="$PWD"; cd; exec tuner {" ".join(map(_quoted, arguments))}'
        job = Job(f"{name}-{uuid.uuid4().hex[:6]}", entrypoint)
        with _folder_of([given.file for given in arguments if isinstance(given, Shipped)]) as folder:
            self._ask(
                self._submit,
                entrypoint=entrypoint,
                submission_id=job.id,
                runtime_env={"working_dir": str(folder)} if folder else {},
                metadata={"search": search} if search else {},
            )
        return job

    def latest_of(self, search: str) -> Job | None:
        """The job that runs this search, or was the last that did."""
        found = [job for job in self._ask(self._client.list_jobs) if (job.metadata or {}).get("search") == search]
        latest = max(found, key=lambda job: job.start_time or 0, default=None)
        return latest and Job(latest.submission_id, latest.entrypoint, latest.status in ("PENDING", "RUNNING"))

    def run(self, arguments: Sequence[Argument], tell: Callable[[str], None]) -> int:
        """Have `tuner` run with these arguments on the head, pass on what it prints, and return its exit code.

        Raises:
            UserError: it cannot be run.
            KeyboardInterrupt: after it has been stopped.
        """
        job = self.start(arguments, f"tuner-{arguments[0]}")
        try:
            return self.finish(job, tell)
        except KeyboardInterrupt:
            self._ask(self._client.stop_job, job.id)
            raise

    def told(self, job: Job) -> str:
        """What a job has printed so far."""
        return str(self._ask(self._client.get_job_logs, job.id)).partition(f"{job.entrypoint}\n")[2]

    def finish(self, job: Job, tell: Callable[[str], None]) -> int:
        """Pass on what a job prints, as it does, until its end; returns its exit code.

        Raises:
            UserError: it could not be run.
        """
        asyncio.run(self._pass_on(job, tell))
        found = self._ask(self._client.get_job_info, job.id)
        if found.driver_exit_code == NOT_FOUND:
            raise UserError(
                f"--cluster {self._cluster}: its head has no `tuner` command where Ray was started; install this "
                "project there, and start Ray with its environment active"
            )
        if found.driver_exit_code is not None:
            return int(found.driver_exit_code)
        if str(found.status) == "SUCCEEDED":
            return 0
        reason = str(found.message or found.status).strip().splitlines()[-1]
        raise UserError(f"--cluster {self._cluster}: its head could not run that ({reason})")

    async def _pass_on(self, job: Job, tell: Callable[[str], None]) -> None:
        """Without what Ray writes before it: its remarks on the environment, and the command."""
        before: str | None = ""
        async for part in self._client.tail_job_logs(job.id):
            if before is None:
                tell(part)
                continue
            before += part
            _, found, after = before.partition(f"{job.entrypoint}\n")
            if found:
                tell(after)
                before = None

    def _submit(self, **job: Any) -> None:
        until = time.monotonic() + AGENT_SECONDS
        while True:
            try:
                self._client.submit_job(**job)
                return
            except RuntimeError as error:  # for whatever the head answers
                if "No available agent" not in str(error) or time.monotonic() > until:
                    raise
            time.sleep(AGENT_REST_SECONDS)

    def _ask(self, question: Callable[..., Any], *given: Any, **more: Any) -> Any:
        try:
            return question(*given, **more)
        except Exception as error:  # requests', aiohttp's, and RuntimeError for whatever the head answers
            raise _refusal(self._cluster, error) from None


@contextmanager
def jobs_of(cluster: str) -> Iterator[Jobs]:
    """The jobs of the cluster at a dashboard's URL, or that `ray up` has started from a file.

    Raises:
        UserError: it cannot be reached, or takes no jobs.
    """
    with dashboard(cluster) as url:
        yield Jobs(_connected(url, cluster), cluster)


def run_on_head(cluster: str, arguments: Sequence[Argument], tell: Callable[[str], None]) -> int:
    """As `Jobs.run`, on the cluster that `jobs_of` finds."""
    with jobs_of(cluster) as jobs:
        return jobs.run(arguments, tell)


def print_logs(cluster: str, search: str, arguments: Sequence[Argument], tell: Callable[[str], None]) -> int:
    """Run `tuner logs` on a cluster's head, as `run_on_head`; what a search's own process prints, while it runs.

    That process is also asked where there is no such search: it has told what was wrong with its options.
    """
    with jobs_of(cluster) as jobs:
        job = jobs.latest_of(search)
        if job is not None and job.runs:
            if "--follow" in arguments:
                return jobs.finish(job, tell)
            tell(jobs.told(job))
            return 0
        code = jobs.run(arguments, tell)
        if code and job is not None:
            tell(jobs.told(job))
    return code


def _connected(url: str, cluster: str) -> Any:
    from ray.job_submission import JobSubmissionClient

    for module in _TALKATIVE:
        logging.getLogger(f"ray.{module}").setLevel(logging.ERROR)
    use_token()
    try:
        client = JobSubmissionClient(url)
        client.list_jobs()
    except Exception as error:  # likewise
        raise _refusal(cluster, error) from None
    return client


def _refusal(cluster: str, error: Exception) -> UserError:
    """What is wrong with a cluster, by what its dashboard, or whatever answers there, has said."""
    said = f"{type(error).__name__}: {error}"
    if "ray[default]" in said or "404" in said or "405" in said:
        return UserError(
            f"--cluster {cluster}: what answers there takes no Ray jobs; the head needs `ray[default]`, started "
            "with its dashboard"
        )
    if "AuthenticationError" in said:
        return UserError(
            f"--cluster {cluster}: it asks for a token; set RAY_AUTH_MODE=token, and have the cluster's token in "
            "~/.ray/auth_token"
        )
    if isinstance(error, (ConnectionError, TimeoutError)) or "Connect" in said:
        return UserError(f"--cluster {cluster}: no dashboard answers there; is the cluster up, at this address?")
    return UserError(f"--cluster {cluster}: {' '.join(said.split())[:300]}")


@contextmanager
def _folder_of(files: Sequence[Path]) -> Iterator[Path | None]:
    """A folder with copies of these alone; None: there are none."""
    if not files:
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        for file in files:
            shutil.copy(file, Path(folder) / file.name)
        yield Path(folder)


def _quoted(argument: Argument) -> str:
    if isinstance(argument, Shipped):
        return f'"$files"/{shlex.quote(argument.file.name)}'
    return shlex.quote(argument)
