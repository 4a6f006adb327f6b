"""Starting Ray on this machine, or joining a cluster: quietly, with our code and without telemetry."""

import logging
import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import BenchError, EngineError
from bench.run.nodes import Node, Shape, capacity
from bench.suite.schema import Resources

# Read by Ray when it is imported or started, so these are set first. Ours win over nothing the user set.
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}
OBJECT_STORE_BYTES = 200 * 2**20
KNOCK_S = 10.0
# What workers on other machines are told of this one's environment.
SHIPPED = ("MEDSEG_", "BENCH_", "AWS_", "NCCL_", "GLOO_", "CUBLAS_", "PYTORCH_")
NOT_SHIPPED = ["**/__pycache__", "**/*.pyc"]
NO_CLIENT = (
    "ray:// is Ray's client: it moves the scheduling to the cluster, where neither this terminal nor its Ctrl-C is; "
    "run there instead: ray job submit --address http://HEAD:8265 -- bench run SUITE --address auto"
)


@dataclass(frozen=True)
class Session:
    """A Ray that is there.

    Args:
        nodes: When it was started or joined.
        demand: Tells a cluster of others what would be used, so that nodes may be added; none of our own.
    """

    nodes: list[Node]
    demand: Callable[[Sequence[Shape]], None] | None = None


@contextmanager
def ray_session(
    cpus: int | None, verbose: bool, address: str | None = None, components: Sequence[str] = ()
) -> Iterator[Session]:
    """Runs a Ray of our own, without dashboard and telemetry, or joins a running one.

    Args:
        cpus: Cores to use on this machine; none takes all.
        verbose: Let Ray and the workers print.
        address: Of a running cluster: `auto` for the one on this machine, or `host:port`; none starts our own.
        components: Models and losses as `module:Class`. Where their code is not installed it is sent along.

    Raises:
        EngineError: If Ray cannot be started or reached.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    import ray
    from ray._private import worker

    # Ray logs whole tracebacks for what the run reports in a line.
    level = logging.INFO if verbose else logging.CRITICAL
    options = _own(cpus) if address is None else _joined(address, components)
    try:
        ray.init(**options, log_to_driver=verbose, logging_level=level)
    # A plain Exception, where Ray's node does not come up in time.
    except Exception as error:
        raise EngineError(_no_ray(address, first_line(error))) from error
    for name in ("ray", *(name for name in logging.root.manager.loggerDict if name.startswith("ray."))):
        logging.getLogger(name).setLevel(level)
    if not verbose:
        # Nor does log_to_driver keep back what Ray says of a node that is lost: two screens of its state.
        worker.print_to_stdstream = lambda *args, **options: None
    try:
        yield Session(live_nodes(), demand=None if address is None else ask_for)
    finally:
        if address is not None:
            ask_for(())
        ray.shutdown()


def check_address(address: str | None) -> None:
    """Refuses an address of Ray's client.

    Raises:
        BenchError: If it is one.
    """
    if address is not None and address.startswith("ray://"):
        raise BenchError(f"--address {address}: {NO_CLIENT}")


def live_nodes() -> list[Node]:
    """Returns the nodes that are there now.

    Raises:
        EngineError: If Ray is gone.
    """
    import ray

    try:
        nodes = [_node(node) for node in ray.nodes() if node["Alive"]]
    except (RuntimeError, ConnectionError) as error:
        raise EngineError(f"Ray does not answer any more ({first_line(error)})") from error
    if not nodes:
        # Not even this machine's: its raylet died, and no node can join what is left.
        raise EngineError("Ray's node on this machine died")
    return nodes


def ask_for(shapes: Sequence[Shape]) -> None:
    """Tells the cluster's autoscaler, if it has one, what would be used: by what runs and by what waits.

    Jobs are placed on nodes that are there, so nothing waits that an autoscaler could see.
    """
    from ray.autoscaler.sdk import request_resources

    # What fits no kind of node would keep it from adding any; memory is checked once a node is there.
    parts = [{"CPU": shape.cpus, "GPU": shape.gpus} for shape in shapes for _ in range(shape.parts)]
    with suppress(RuntimeError, ConnectionError):
        request_resources(
            bundles=[{name: amount for name, amount in part.items() if amount} for part in parts]
        )


class NoRoomError(EngineError):
    """A trial fits no node, and none will join.

    Args:
        entry: Whose trial it is.
    """

    def __init__(self, said: str, entry: str):
        super().__init__(said, goes_on=False)
        self.entry = entry


def count_slots(nodes: Sequence[Node], needs: Mapping[str, Resources], elastic: bool = False) -> int:
    """Counts the trials that can run at once, going by the most demanding kind.

    Args:
        nodes: Of the cluster.
        needs: What a trial of each entry takes.
        elastic: Whether nodes may still join.

    Raises:
        NoRoomError: If a trial fits no node and none will join; it would wait for ever.
    """
    slots = []
    for entry, need in needs.items():
        fitting = capacity(nodes, Shape.of(need))
        if not fitting and not elastic:
            raise NoRoomError(no_room(entry, Shape.of(need), nodes), entry)
        slots.append(max(fitting, 1))
    return min(slots)


def no_room(entry: str, shape: Shape, nodes: Sequence[Node]) -> str:
    """Says that a trial fits nowhere."""
    return (
        f"a trial of {entry} needs {shape}, but no node has that: "
        + ("; ".join(map(str, nodes)) or "there is none")
        + " (resources: in the suite says what a trial takes)"
    )


def _no_ray(address: str | None, why: str) -> str:
    if address is None:
        return f"Ray cannot be started ({why})"
    # Since 2.60 clusters ask for a token where one was ever made, and Ray does not send it to an address by itself.
    token = "" if "RAY_AUTH_MODE" in os.environ else "; if it asks for a token, set RAY_AUTH_MODE=token"
    return f"--address {address}: there is no Ray cluster to join ({why}{token})"


def _own(cpus: int | None) -> dict[str, Any]:
    # Models given as `module:Class` live beside the user; the workers must find them too.
    paths = [os.getcwd(), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    return {
        # Not the cluster that happens to run on this machine.
        "address": "local",
        "num_cpus": cpus,
        "include_dashboard": False,
        "object_store_memory": OBJECT_STORE_BYTES,
    }


def _joined(address: str, components: Sequence[str]) -> dict[str, Any]:
    from bench.plan.source import loose_code

    _knock(address)
    ours = Path(__file__).parents[2]
    code = {ours / "bench", ours / "medseg", *(path for name in components for path in loose_code(name))}
    env = {name: value for name, value in os.environ.items() if name in QUIET or name.startswith(SHIPPED)}
    return {
        "address": address,
        "runtime_env": {
            "py_modules": sorted(map(str, code)),
            "excludes": NOT_SHIPPED,
            "env_vars": env,
        },
    }


def _knock(address: str) -> None:
    """Looks whether anybody listens, which takes Ray a minute.

    Raises:
        EngineError: If not.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), timeout=KNOCK_S).close()
    except OSError as error:
        raise EngineError(f"--address {address}: nobody listens there ({error.strerror or error})") from error


def _node(node: Mapping[str, Any]) -> Node:
    resources, labels = node["Resources"], node.get("Labels") or {}
    kinds = {labels.get("hardware"), labels.get("ray.io/accelerator-type")}
    kinds |= {name.partition(":")[2] for name in resources if name.startswith("accelerator_type:")}
    return Node(
        id=node["NodeID"],
        name=node["NodeManagerHostname"],
        cpus=resources.get("CPU", 0.0),
        gpus=resources.get("GPU", 0.0),
        memory=resources.get("memory", 0.0),
        hardware=frozenset(kind.lower() for kind in kinds if kind),
    )


def first_line(error: Exception) -> str:
    """Returns what an error says, without the pages that Ray adds."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
