"""The proof on real hosts: `ray up`, a search over all of them, a host that dies and comes back, `ray down`.

    .venv/bin/python tests/netlab/prove.py --venv .venv [--out FILE.md] [--keep]

Four hosts in namespaces (README.md): a client, which plays your computer, a head and two workers. All that is done on
them is done by deploy/local.yaml, in which addresses and the user's name are filled in. Needs root; a quarter of an
hour.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lab import Lab, why_not
from proof import BRING_UP, CLUSTER, PROJECT, Proof
from ruamel.yaml import YAML
from served import serve_as_jobs, serve_on_the_head, serve_through_ray_up

from trainable.checkpoint import load_checkpoint
from tuner.store import Event

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "tests"))
from small_searches import tiny_space, write_labels_csv, write_space  # noqa: E402

NAME, ON_S3 = "proof", "on-s3"
BUCKET, S3_PORT = "thaw", 5555
S3 = {
    "AWS_ENDPOINT_URL": f"http://head:{S3_PORT}",
    "AWS_ACCESS_KEY_ID": "any",
    "AWS_SECRET_ACCESS_KEY": "any",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
WORKERS = ("w1", "w2")
NODES = ("head", *WORKERS)
TRIALS, EPOCHS, GRACE_EPOCHS = 8, 16, 3
FOLDERS = ("deploy", "trainable", "search_spaces", "tuner")
FILES = ("pyproject.toml", "requirements.lock", "README.md", "LICENSE")


def prepare(proof: Proof) -> None:
    """Give the client a checkout and a filled-in deploy/local.yaml, and the shared folder a space and data."""
    lab = proof.lab
    checkout = lab.disk("client") / PROJECT.removeprefix("/")
    checkout.mkdir()
    for part in FOLDERS:
        shutil.copytree(ROOT / part, checkout / part, ignore=shutil.ignore_patterns("__pycache__"))
    for part in FILES:
        shutil.copy(ROOT / part, checkout)
    yaml = YAML()
    cluster = yaml.load(ROOT / "deploy" / "local.yaml")
    cluster["provider"]["head_ip"] = lab.hosts["head"].address
    cluster["provider"]["worker_ips"] = [lab.hosts[name].address for name in WORKERS]
    cluster["auth"] |= {"ssh_user": "root", "ssh_private_key": "~/.ssh/id_ed25519"}
    yaml.dump(cluster, checkout / CLUSTER)
    for name in NODES:  # what a host gives, as the file's comment says
        with (lab.disk(name) / "root" / ".bashrc").open("a") as file:
            file.write("""export RAY_OVERRIDE_RESOURCES='{"CPU": 1}'\n""")
    for name in lab.hosts:
        with (lab.disk(name) / "root" / ".bashrc").open("a") as file:
            file.writelines(f"export {variable}={value}\n" for variable, value in S3.items())
    fixed = {**tiny_space()["fixed"], "image_size": 64, "epochs": EPOCHS, "batch_size": 16}
    scheduler = {"kind": "asha", "grace_epochs": GRACE_EPOCHS, "reduction_factor": 3}
    write_space(checkout / "space.yaml", tiny_space(fixed=fixed, scheduler=scheduler))
    write_labels_csv(lab.shared / "data", images=400, size=64)


def bring_up(proof: Proof) -> None:
    proof.client("sh deploy/install.sh")
    proof.say("the client has the project")
    proof.client(f"tuner check --cluster {CLUSTER}")
    proof.client(BRING_UP)
    proof.say("`ray up` has returned")
    proof.wait("head, w1 and w2 are nodes", lambda: proof.nodes() == sorted(NODES), every=1)


def submit(proof: Proof) -> None:
    options = f"--name {NAME} --data /mnt/shared/data/labels.csv --trials {TRIALS} --split 75/25 --top 1"
    proof.client(f"tuner submit space.yaml --cluster {CLUSTER} {options}")
    proof.say("`tuner submit` has returned")


def use_verbs(proof: Proof) -> None:
    """Look at the search, stop it and go on with it, from the client."""
    proof.wait("the first trial trains", lambda: proof.events(NAME, "epoch"))
    listed = proof.client(f"tuner ls --cluster {CLUSTER}")
    assert NAME in listed, listed
    proof.say("`tuner ls` names it")
    logs = proof.client(f"tuner logs {NAME} --cluster {CLUSTER}")
    assert f"search {NAME}: up to {TRIALS} trials" in logs, logs
    proof.say("`tuner logs` has its lines")
    proof.client(f"tuner stop {NAME} --cluster {CLUSTER}")
    assert proof.record(NAME).status == "stopped"
    proof.say("`tuner stop` has stopped it")
    proof.client(f"tuner resume {NAME} --cluster {CLUSTER}")
    proof.say("`tuner resume` has returned")
    proof.wait("it goes on", lambda: proof.events(NAME, "search_resumed"))


def lose_a_host(proof: Proof) -> None:
    """Have a worker host's power cut while it trains, and give it back."""

    def at_work() -> Event | None:
        running = {trial.id for trial in proof.record(NAME).trials if trial.status == "running"}
        later = (event for event in reversed(proof.events(NAME, "epoch")) if event["epoch"] > GRACE_EPOCHS)
        return next((event for event in later if event["node"] in WORKERS and event["trial"] in running), None)

    found = proof.wait("a trial on a worker host is beyond the first rung", at_work)
    trial, lost = found["trial"], found["node"]
    proof.lab.switch_off(lost)
    last = max(event["seq"] for event in proof.store(NAME).events())
    epochs = proof.events(NAME, "epoch")
    told = max(event["epoch"] for event in epochs if event["trial"] == trial)
    saved = load_checkpoint(proof.store(NAME).last_checkpoint(trial))["epoch"]
    proof.say(f"{lost} is switched off; {trial} there was at epoch {told:g}, saved {saved:g}")

    def since_then(kind: str) -> Event | None:
        later = (event for event in proof.events(NAME, kind) if event["seq"] > last)
        return next((event for event in later if event["trial"] == trial and event.get("node") != lost), None)

    reason = proof.wait(f"{trial} is to go on", lambda: since_then("trial_resumed"))["reason"]
    proof.say(f"since {reason}")
    again = proof.wait(f"{trial} goes on elsewhere", lambda: since_then("epoch"))
    proof.say(f"on {again['node']}, with epoch {again['epoch']:g}")
    proof.lab.switch_on(lost)
    proof.say(f"{lost} is switched on")
    proof.wait("Ray is on it again, by itself", lambda: proof.nodes() == sorted(NODES), every=2)


def inspect(proof: Proof) -> None:
    """Assert that nothing was lost, and nothing told twice."""
    proof.wait("the search is complete", lambda: proof.record(NAME).status == "complete", 300)
    record = proof.record(NAME)
    statuses = Counter(trial.status for trial in record.trials)
    assert sum(statuses.values()) == TRIALS, statuses
    assert set(statuses) <= {"complete", "pruned"}, statuses
    epochs = Counter((event["trial"], event["epoch"]) for event in proof.events(NAME, "epoch"))
    assert set(epochs.values()) == {1}, epochs
    nodes = Counter(event["node"] for event in proof.events(NAME, "epoch"))
    assert set(nodes) == set(NODES), nodes
    told = ", ".join(f"{count} on {node}" for node, count in sorted(nodes.items()))
    proof.say(f"{TRIALS} trials: {', '.join(f'{n} {status}' for status, n in statuses.items())}; epochs: {told}")


def take_down(proof: Proof) -> None:
    proof.client(f"ray down -y {CLUSTER}")
    proof.say("`ray down` has returned")

    def raylets() -> list[str]:
        return [host for host in NODES if proof.lab.run(host, "pgrep", "-x", "raylet", check=False).stdout.strip()]

    proof.wait("no host runs Ray any more (workers leave a minute after their head)", lambda: not raylets(), 120, 2)


def search_on_s3(proof: Proof) -> None:
    """Search again, with results in a bucket that a host serves and all others reach by its name."""
    served = proof.lab.command("head", "moto_server", "-H", "0.0.0.0", "-p", str(S3_PORT))
    with (proof.lab.folder / "moto.log").open("wb") as log:
        subprocess.Popen(served, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    making = f"python -c \"import boto3; boto3.client('s3').create_bucket(Bucket='{BUCKET}')\""
    proof.wait("a host serves S3", lambda: "rror" not in proof.client(making, check=False), 60)
    where = f"--results s3://{BUCKET}/results"
    options = f"--name {ON_S3} --data /mnt/shared/data/labels.csv --trials 3 --split 75/25 --top 1 {where}"
    proof.client(f"tuner submit space.yaml --cluster {CLUSTER} {options}")

    def ended() -> bool:
        told = proof.client(f"tuner show {ON_S3} --json {where}", check=False)
        return '"status": "complete"' in told

    proof.wait("a search with its results on S3 is complete, as the client sees it", ended, 300, 3)
    table = proof.client(f"tuner leaderboard {ON_S3} {where}")
    assert "t0001" in table, table


STEPS = (
    prepare,
    bring_up,
    submit,
    use_verbs,
    lose_a_host,
    inspect,
    serve_on_the_head,
    serve_through_ray_up,
    serve_as_jobs,
    search_on_s3,
    take_down,
)


@contextmanager
def proven(folder: Path, prefix: str, venv: Path, show: Sequence[Path] = (), *, keep: bool = False) -> Iterator[Proof]:
    """A lab in which all has been done. Raises AssertionError, CalledProcessError, TimeoutError."""
    lab = Lab(folder, prefix, venv)
    try:
        lab.build(show=show)
        proof = Proof(lab)
        proof.say(f"{len(lab.hosts)} hosts are up")
        for step in STEPS:
            step(proof)
        yield proof
    finally:
        if not keep:
            lab.destroy()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--venv", type=Path, required=True, help="an environment with all that the project needs")
    options.add_argument("--folder", type=Path, default=Path("/tmp/netlab-proof"))
    options.add_argument("--out", type=Path, help="also write the table to this file")
    options.add_argument("--keep", action="store_true", help="leave the hosts running")
    given = options.parse_args()
    if reason := why_not():
        sys.exit(reason)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # and not without taking the hosts down
    with proven(given.folder, "proof", given.venv.absolute(), keep=given.keep) as proof:
        rows = "".join(f"| {seconds:.0f} | {what} |\n" for seconds, what in proof.happened)
        table = f"| after s | what |\n|---|---|\n{rows}"
        print(table)
        if given.out:
            given.out.write_text(table)


if __name__ == "__main__":
    main()
