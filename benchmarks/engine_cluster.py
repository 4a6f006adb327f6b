"""Trials of several shapes on a simulated cluster, a node of which is taken away. Imported by engine.py."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engine_sleep import EPOCHS, Span, diary, plan_of, read, run

from bench.run.cluster import ray_session
from bench.run.early import Early

NODES, GPUS = 4, 8
# GPUs of a trial, and how many studies have such.
SHAPES = ((0.25, 3), (1, 5), (4, 2))
TRIALS = 20
STORE = {"object_store_memory": 80 * 2**20}
# Else each node would start as many workers as it has cores, to be ready.
LAZY = {"prestart_worker_first_driver": False}
HEAD = {"num_cpus": 0, "num_gpus": 0, "include_dashboard": False, "_system_config": LAZY, **STORE}
NODE = {"num_cpus": 32, "num_gpus": GPUS, "memory": 2**36, **STORE}


@dataclass(frozen=True)
class Packed:
    """What came of a run.

    Args:
        spans: Of all trials, in the order of their beginning.
        up: When Ray was up.
    """

    spans: list[Span]
    up: float

    def packing(self, gpus: float) -> float:
        """Share of GPU time held by trials, from the first trial's beginning until none waits any more."""
        begin, end = self.spans[0].begin, self.spans[-1].begin
        held = sum(span.gpus * (min(span.end, end) - span.begin) for span in self.spans)
        return held / (gpus * (end - begin))

    def half(self, gpus: float) -> float:
        """When half of the trials of a shape had begun, in shares of the time until none waits any more."""
        begins = [span.begin for span in self.spans if span.gpus == gpus]
        begin, end = self.spans[0].begin, self.spans[-1].begin
        return (begins[len(begins) // 2] - begin) / (end - begin)


def measure_cluster(share: float) -> None:
    """Prints packing, when each shape had its turn, and what became of a removed node's trials."""
    total = TRIALS * sum(studies for _, studies in SHAPES)
    seconds = 30 * share
    print(
        f"\n{total} sleeping trials of {seconds:g} s on {NODES} nodes of {GPUS} GPUs (bar: 90% packing)",
        flush=True,
    )
    whole = measure(seconds)
    turns = ", ".join(f"{gpus:g} GPUs {whole.half(gpus):.0%}" for gpus, _ in SHAPES)
    print(
        f"  {whole.packing(NODES * GPUS):.1%} packing; half of each shape had begun after: {turns}",
        flush=True,
    )
    less = measure(seconds, remove_after=total // 4)
    print(
        f"  a node removed: {total} of {total} complete, {len(less.spans) - total} trained twice", flush=True
    )


def measure(seconds: float, remove_after: int | None = None) -> Packed:
    """Runs the trials; takes a node away after so many are complete."""
    from ray.cluster_utils import Cluster

    with diary(seconds) as path:
        plan = plan_of(suite_text(), path)
        cluster = Cluster(initialize_head=True, head_node_args=HEAD)
        try:
            nodes = [cluster.add_node(**NODE) for _ in range(NODES)]
            cluster.wait_for_nodes()
            with Early(ray_session(None, verbose=False, address=cluster.address)) as ray:
                ray.result()
                up = time.time()
                if remove_after is not None:
                    _remove_later(
                        lambda: cluster.remove_node(nodes[0], allow_graceful=False), path, remove_after
                    )
                run(plan, path, ray)
            return Packed(read(path), up)
        finally:
            cluster.shutdown()


def suite_text() -> str:
    """Returns a suite with the shapes."""
    models, number = [], 0
    for gpus, studies in SHAPES:
        for _ in range(studies):
            number += 1
            options = f"options: {{features: [4, {number + 4}]}}, resources: {{gpus: {gpus}}}"
            models.append(f"  - {{name: unet, label: net {number}, {options}}}")
    return SUITE % ("\n".join(models), EPOCHS, TRIALS - 1)


SUITE = """
suite: sleep
tasks: [{name: phantom-lung, image_size: [32, 32], phantom: {patients: 12, seed: 5}}]
models:
%s
losses: [ce_dice]
train: {epochs: %d, steps_per_epoch: 4, batch_size: 4, learning_rate: 1e-2}
tune:
  budget: {trials: %d}
  space: {train.learning_rate: {low: 1e-4, high: 2e-2, log: true}}
resources: {cpus: 1, memory_gb: 0.1}
"""


def _remove_later(remove: Callable[[], None], path: Path, count: int) -> None:
    def wait() -> None:
        while path.exists() and len(path.read_text().splitlines()) < count:
            time.sleep(0.2)
        if path.exists():
            remove()

    threading.Thread(target=wait, daemon=True).start()
