"""Starting Ray quietly, and Tune's environment."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

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
def ray_session(cpus: int | None, verbose: bool) -> Iterator[dict[str, float]]:
    """Runs a local Ray, without dashboard and telemetry, and yields its resources.

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

    level = logging.INFO if verbose else logging.ERROR
    ray.init(
        num_cpus=cpus,
        include_dashboard=False,
        log_to_driver=verbose,
        logging_level=level,
        object_store_memory=OBJECT_STORE_BYTES,
    )
    for name in ("ray", "ray.tune", "ray.train", "ray.data"):
        logging.getLogger(name).setLevel(level)
    try:
        yield ray.cluster_resources()
    finally:
        ray.shutdown()
