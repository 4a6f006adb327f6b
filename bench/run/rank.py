"""A process of a trial of several, as a Ray actor; and all those of a trial, in the trial's own placement group."""

import os
import socket
import sys
import traceback
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError, RayTaskError
from ray.util import get_current_placement_group, get_node_ip_address, placement_group_table
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from bench.run.group import Failure, LostError, SilentError
from bench.run.job import Job, WorkerConfig
from bench.run.process import Limits, start, threads
from medseg.training.outcome import Epoch, TrialResult, classify, is_lost_process
from medseg.training.trial_data import Again, ShareMemoryError

# Their resources are reserved: more than importing torch from a slow disk it cannot take, unless a node is gone.
START_S = 300.0
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Location:
    """Where a process is: its node, the node's address, and a port that is free there."""

    node: str
    address: str
    port: int


class NoProcessesError(Exception):
    """Processes cannot be started where their resources were reserved: the node is gone."""


class Rank:
    """One of the processes. It is told what to do by the trial's `Group`, epoch by epoch."""

    def place(self) -> Location:
        """Says where it is."""
        with socket.socket() as probe:
            probe.bind(("", 0))
            return Location(
                ray.get_runtime_context().get_node_id(), get_node_ip_address(), probe.getsockname()[1]
            )

    def join(self, environment: dict[str, str]) -> None:
        """Takes what torch and Accelerate want to know of the other processes."""
        for name, value in environment.items():
            if name != "GLOO_SOCKET_IFNAME" or name not in os.environ:
                os.environ[name] = value

    def begin(self, job: str, worker: str, again: Again, spent_s: float) -> None:
        """Takes a trial; see `Group.run`."""
        self._job, self._worker = Job.model_validate_json(job), WorkerConfig.model_validate_json(worker)
        self._again, self._limits = again, Limits(self._job, self._worker, spent_s)
        self._events: Generator[Epoch, None, TrialResult] | None = None

    def advance(self, pruned: bool) -> Epoch | TrialResult | Failure:
        """Trains an epoch, or ends the trial."""
        self._limits.pruned = pruned
        try:
            if self._events is None:
                self._events = start(self._job, self._worker, self._limits, self._again)
            return next(self._events)
        except StopIteration as end:
            result: TrialResult = end.value
            # The others have the same to say.
            first = os.environ["RANK"] == "0" or result.status == "oom"
            return result if first else TrialResult(result.status, result.detail)
        except (Exception, SystemExit) as error:
            # Ray ends a worker so, on SIGTERM.
            if hasattr(error, "ray_terminate_msg"):
                raise
            status, detail = classify(error)
            again = error.again if isinstance(error, ShareMemoryError) else None
            return Failure(status, detail, traceback.format_exc(), is_lost_process(error), again)


class RayCrew:
    """Starts a process on each bundle of the placement group in which this is called, and speaks with them."""

    def __init__(self) -> None:
        self._ranks: list[Any] = []

    @property
    def alive(self) -> bool:
        """See `Crew`."""
        return bool(self._ranks)

    def start(self, worker: WorkerConfig) -> None:
        """See `Crew`.

        Raises:
            NoProcessesError: If they do not come up: what was reserved for them is not there any more.
        """
        group = get_current_placement_group()
        state = placement_group_table(group)["state"]
        if state != "CREATED":
            raise NoProcessesError(f"what was reserved for {worker.processes} processes is {state.lower()}")
        share = {
            "num_cpus": worker.cpus / worker.processes,
            "num_gpus": worker.gpus / worker.processes,
            "memory": int(worker.memory_gb / worker.processes * 2**30),
        }
        for number in range(worker.processes):
            where = PlacementGroupSchedulingStrategy(group, number)
            rank = ray.remote(Rank).options(scheduling_strategy=where, **share).remote()
            self._ranks.append(rank)
        try:
            places = ray.get([rank.place.remote() for rank in self._ranks], timeout=START_S)
            told = zip(self._ranks, environments(places, threads(worker)), strict=True)
            ray.get([rank.join.remote(environment) for rank, environment in told], timeout=START_S)
        except GetTimeoutError:
            self.end()
            raise NoProcessesError(f"{worker.processes} processes did not start in {START_S:g} s") from None
        except RayTaskError:
            raise
        except RayError as error:
            raise LostError(f"a process died as it started: {_said(error)}") from error

    def ask(self, call: str, *arguments: Any, timeout_s: float | None = None) -> Iterator[tuple[int, Any]]:
        """See `Crew`."""
        asked = {getattr(rank, call).remote(*arguments): number for number, rank in enumerate(self._ranks)}
        waiting = list(asked)
        while waiting:
            ready, waiting = ray.wait(waiting, num_returns=1, timeout=timeout_s)
            if not ready:
                raise SilentError(f"{len(waiting)} of {len(asked)} processes do not answer any more")
            try:
                answer = ray.get(ready[0])
            except RayTaskError:
                raise
            except RayError as error:
                raise LostError(f"process {asked[ready[0]]} died: {_said(error)}") from error
            yield asked[ready[0]], answer

    def end(self) -> None:
        """See `Crew`."""
        for rank in self._ranks:
            ray.kill(rank)
        self._ranks = []


def environments(places: Sequence[Location], threads_each: int) -> list[dict[str, str]]:
    """Returns, for each process, the variables by which torch finds the others; the first one is where they meet.

    Args:
        places: Where the processes are, by their numbers.
        threads_each: Threads that each computes with.
    """
    first, here = places[0], Counter(place.node for place in places)
    common = {
        "MASTER_ADDR": first.address if len(here) > 1 else LOOPBACK,
        "MASTER_PORT": str(first.port),
        "WORLD_SIZE": str(len(places)),
        # Accelerate would take all cores.
        "OMP_NUM_THREADS": str(threads_each),
    }
    if len(here) == 1 and sys.platform == "linux":
        # Gloo would look up the host's name, which not every container can.
        common["GLOO_SOCKET_IFNAME"] = "lo"
    found, seen = [], Counter[str]()
    for number, place in enumerate(places):
        local = {"LOCAL_RANK": str(seen[place.node]), "LOCAL_WORLD_SIZE": str(here[place.node])}
        seen[place.node] += 1
        found.append({**common, **local, "RANK": str(number)})
    return found


def _said(error: RayError) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
