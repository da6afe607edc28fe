"""One bare ray.init, and one worker in which torch and torchvision are imported: what any search with Ray pays.

python -m benchmarks.peers.ray_start
"""

from __future__ import annotations

import ray


@ray.remote(num_cpus=1)
class Worker:
    def ready(self) -> str:
        import torch
        import torchvision  # noqa: F401

        return torch.__version__


if __name__ == "__main__":
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    ray.get(Worker.remote().ready.remote())
    ray.shutdown()
