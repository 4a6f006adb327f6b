"""Starting Ray quietly, and Tune's environment."""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from bench.errors import BenchError
from bench.suite.schema import Resources

# Read by Ray when it is imported or started, so these are set first. Ours win over nothing the user set.
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}
OBJECT_STORE_BYTES = 200 * 2**20


@contextmanager
def ray_session(cpus: int | None, verbose: bool) -> Iterator[list[dict[str, float]]]:
    """Runs a local Ray, without dashboard and telemetry, and yields the resources of each node.

    Args:
        cpus: Cores to use; none takes all.
        verbose: Let Ray and the workers print.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    # Models given as `module:Class` live beside the user; the workers must find them too.
    paths = [os.getcwd(), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    import ray

    # Ray logs whole tracebacks for what the run reports in a line.
    level = logging.INFO if verbose else logging.CRITICAL
    ray.init(
        num_cpus=cpus,
        include_dashboard=False,
        log_to_driver=verbose,
        logging_level=level,
        object_store_memory=OBJECT_STORE_BYTES,
    )
    for name in ("ray", *(name for name in logging.root.manager.loggerDict if name.startswith("ray."))):
        logging.getLogger(name).setLevel(level)
    try:
        yield [node["Resources"] for node in ray.nodes() if node["Alive"]]
    finally:
        ray.shutdown()


def count_slots(nodes: Sequence[Mapping[str, float]], needs: Mapping[str, Resources]) -> int:
    """Counts the trials that can run at once, going by the most demanding kind.

    Args:
        nodes: Resources of each node, in Ray's words.
        needs: What a trial of each entry takes.

    Raises:
        BenchError: If a trial fits no node; it would wait for ever.
    """
    slots = []
    for entry, need in needs.items():
        wanted = {"CPU": need.cpus, "GPU": need.gpus, "memory": need.memory_gb * 2**30}
        fitting = sum(_times(node, wanted) for node in nodes)
        if not fitting:
            raise BenchError(
                f"a trial of {entry} needs {_say(wanted)}, but no node has that: "
                + "; ".join(_say({key: node.get(key, 0) for key in wanted}) for node in nodes)
                + " (resources: in the suite says what a trial takes)"
            )
        slots.append(fitting)
    return min(slots)


def _times(node: Mapping[str, float], wanted: Mapping[str, float]) -> int:
    return min(int(node.get(key, 0) / amount + 1e-9) for key, amount in wanted.items() if amount)


def _say(resources: Mapping[str, float]) -> str:
    return f"{resources['CPU']:g} CPU cores, {resources['GPU']:g} GPUs, {resources['memory'] / 2**30:.1f} GiB memory"
