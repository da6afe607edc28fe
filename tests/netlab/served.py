"""The service on a cluster's head, as deploy/local.yaml starts it: steps of the proof on real hosts."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from proof import BRING_UP, CLUSTER, PROJECT, Proof

URL = "http://127.0.0.1:8420"
DASHBOARD = "http://127.0.0.1:8265"
DATA = "lab"
SHARED = "--data-root /mnt/shared --uploads /mnt/shared/thaw/uploads"
"""as in deploy/local.yaml"""
SERVED, THROUGH_RAY_UP, AS_A_JOB = "served", "through-ray-up", "as-a-job"
TRIALS = 6
OPTIONS = f"--data {DATA} --trials {TRIALS} --split 75/25 --top 1 --remote"


def serve_on_the_head(proof: Proof) -> None:
    """Submit to the server that `ray up` has started, through SSH, and follow the search to its end."""
    proof.wait("the service on the head is ready, on its loopback", lambda: _is_ready(proof, "head"), 120, 1)
    others = ["python", "-c", f"import urllib.request as r; r.urlopen('{URL.replace('127.0.0.1', 'head')}', timeout=5)"]
    assert proof.lab.run("w1", *others, check=False).returncode, "others reach it"
    with _forwarded(proof):
        proof.client(f"tuner login {URL}")
        proof.client(f"tuner upload /mnt/shared/data --name {DATA}")
        proof.say("`tuner login` and `tuner upload` have returned, through `ray attach --port-forward`")
        told = proof.client(f"tuner search space.yaml --name {SERVED} {OPTIONS}", timeout_seconds=600)
        assert "t0001" in told, told
    proof.say(f"`tuner search --remote` has followed its search to the end: {_checked(proof, SERVED)}")


def serve_through_ray_up(proof: Proof) -> None:
    """Have `ray up` end Ray and start it again, and the service with it, while a search runs."""
    with _forwarded(proof):
        proof.client(f"tuner submit space.yaml --name {THROUGH_RAY_UP} {OPTIONS}")
    proof.wait("another search trains", lambda: proof.events(THROUGH_RAY_UP, "epoch"))
    before = _pid(proof)
    proof.client(BRING_UP)
    assert _pid(proof) != before
    proof.say("`ray up` has returned again: Ray and the service are others")
    proof.wait("the service is ready", lambda: _is_ready(proof, "head"), 120, 1)
    _wait_for_end(proof, THROUGH_RAY_UP)


def serve_as_jobs(proof: Proof) -> None:
    """Have the service run searches as Ray's jobs."""
    restart = f"sh ~/thaw/deploy/service/on_head.sh {SHARED} --jobs {DASHBOARD}"
    proof.lab.run("head", "bash", "-lc", restart)
    proof.wait("the service is ready, with --jobs", lambda: _is_ready(proof, "head"), 120, 1)
    with _forwarded(proof):
        proof.client(f"tuner submit space.yaml --name {AS_A_JOB} {OPTIONS}")
    _wait_for_end(proof, AS_A_JOB)
    proof.wait("Ray lists its job as succeeded", lambda: _has_succeeded(proof), 60, 1)


def _has_succeeded(proof: Proof) -> bool:
    asked = "import json; from ray.job_submission import JobSubmissionClient as Jobs; "
    asked += f"print('JOBS', json.dumps([(job.entrypoint, job.status) for job in Jobs('{DASHBOARD}').list_jobs()]))"
    told = proof.lab.run("head", "bash", "-lc", f'python -c "{asked}"').stdout
    jobs = json.loads(told.partition("JOBS ")[2])
    return any(f"--name={AS_A_JOB}" in entrypoint and status == "SUCCEEDED" for entrypoint, status in jobs)


def _wait_for_end(proof: Proof, search: str) -> None:
    def ended() -> bool:
        return bool(proof.events(search, "search_ended")) and proof.record(search).status == "complete"

    proof.wait(f"{search} is complete", ended, 600, 1)
    proof.say(_checked(proof, search))


def _checked(proof: Proof, search: str) -> str:
    """What came of a search. Asserts that it lost nothing, told nothing twice and ran on more hosts than one."""
    record = proof.record(search)
    assert record.status == "complete", record.status
    statuses = Counter(trial.status for trial in record.trials)
    assert sum(statuses.values()) == TRIALS, statuses
    assert set(statuses) <= {"complete", "pruned"}, statuses
    epochs = Counter((event["trial"], event["epoch"]) for event in proof.events(search, "epoch"))
    assert set(epochs.values()) == {1}, epochs
    nodes = Counter(event["node"] for event in proof.events(search, "epoch"))
    assert len(nodes) > 1, nodes
    told = ", ".join(f"{count} on {node}" for node, count in sorted(nodes.items()))
    return f"{', '.join(f'{n} {status}' for status, n in statuses.items())}; epochs: {told}"


def _is_ready(proof: Proof, host: str) -> bool:
    asked = f"import urllib.request as r; print(r.urlopen('{URL}/readyz', timeout=5).read().decode())"
    return proof.lab.run(host, "python", "-c", asked, check=False).returncode == 0


def _pid(proof: Proof) -> str:
    return proof.lab.run("head", "cat", "/root/serve.pid").stdout.strip()


@contextmanager
def _forwarded(proof: Proof) -> Iterator[None]:
    """The head's service at the client's loopback for as long as the block runs, as docs/service.md has it."""
    line = f". ~/.bashrc && cd {PROJECT} && ray attach {CLUSTER} --port-forward 8420"
    command = proof.lab.command("client", "bash", "-c", line)
    attached = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=sys.stderr, stderr=sys.stderr)
    try:
        proof.wait("the client reaches the service", lambda: _is_ready(proof, "client"), 60, 1)
        yield
    finally:
        attached.communicate(b"exit\n", timeout=30)
