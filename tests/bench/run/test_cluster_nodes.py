"""A suite on a simulated cluster: nodes with GPUs that exist on paper, trials that sleep."""

import json
import os
import shutil
import tempfile
import time
from collections import Counter
from io import StringIO
from types import SimpleNamespace

import pytest
from rich.console import Console

from bench.run import tuner
from bench.run.cluster import QUIET, count_slots, ray_session
from bench.run.progress import Display
from bench.run.resume import known_of
from bench.run.signals import Signals
from bench.run.tracker import StudyState, Tracker
from bench.suite.schema import Resources

NODE = {"num_cpus": 16, "num_gpus": 2, "object_store_memory": 80 * 2**20}


class SleepyStudy:
    """Jobs that sleep; a lost one is tried again."""

    def __init__(self, name, job, count, seconds=0.2, **needs):
        self.study = SimpleNamespace(
            id=name, entry=name, resources=Resources(memory_gb=0.1, **needs), tune_total=count, final_total=0
        )
        fields = {"study": name, "entry": name, "setting": {"seconds": seconds}}
        self.jobs = [job.model_copy(update={**fields, "trial": f"{name}{index}"}) for index in range(count)]
        self.total, self.running, self.ends, self.scores = count, set(), [], []

    @property
    def progress(self):
        return 1 - len(self.jobs) / self.total

    @property
    def exhausted(self):
        return not self.jobs and not self.running

    def has_work(self):
        return bool(self.jobs)

    def next_job(self):
        job = self.jobs.pop(0)
        self.running.add(job.trial)
        return job

    def report(self, job, epoch, score):
        self.scores.append((job.trial, epoch))
        return job.trial == "pruned0"

    def ended(self, job, known):
        self.running.discard(job.trial)
        self.ends.append((job.trial, known.status))
        if known.status == "infra_lost":
            self.jobs.insert(0, job.model_copy(update={"attempt": job.attempt + 1}))


def sleeper(place):
    """Returns the trainable; a local class travels to the workers by value."""
    from ray import tune

    class Sleeper(tune.Trainable):
        def setup(self, config):
            self.reset_config(config)

        def reset_config(self, config):
            self.job, self.slot = json.loads(config["job"]), json.loads(config["slot"])
            self.signals = Signals(place, json.loads(config["worker"])["run"])
            self.epoch = 0
            return True

        def step(self):
            import ray

            time.sleep(self.job["setting"]["seconds"] / 2)
            self.epoch += 1
            if self.epoch == 1:
                return {"status": "running", "epoch": 1, "score": 0.5}
            pruned = self.signals.pruned(self.job["trial"])
            assert ray.get_runtime_context().get_node_id() == self.slot["nodes"][0]
            with open(os.path.join(place, "log"), "a") as log:
                log.write(f"{self.job['trial']} {os.getpid()} {self.slot['nodes'][0]}\n")
            return {"done": True, "status": "pruned" if pruned else "complete", "value": 0.5, "device_s": 0.1}

        def save_checkpoint(self, path):
            pass

    return Sleeper


@pytest.fixture
def cluster(monkeypatch):
    """A head that runs nothing, and two nodes of different hardware."""
    for name, value in QUIET.items():
        monkeypatch.setenv(name, value)
    # Sockets need a short path; and nobody else's Ray on this machine shall find ours.
    scratch = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    monkeypatch.setenv("RAY_TMPDIR", scratch)
    from ray.cluster_utils import Cluster

    made = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 0, "include_dashboard": False, "object_store_memory": 80 * 2**20},
    )
    made.first = made.add_node(**NODE, labels={"hardware": "old"})
    made.second = made.add_node(**NODE, labels={"hardware": "new"})
    yield made
    made.shutdown()
    shutil.rmtree(scratch, ignore_errors=True)


def test_nodes_that_leave_and_join_lose_nothing(cluster, job, worker, tmp_path, monkeypatch):
    queues = [
        SleepyStudy("small", job, 16, gpus=1),
        SleepyStudy("large", job, 4, gpus=2),
        SleepyStudy("pinned", job, 2, gpus=1, hardware="new"),
        SleepyStudy("pruned", job, 1, gpus=1),
    ]
    tracker = Tracker({q.study.id: StudyState("t", "e", q.total, 0, 1, 1) for q in queues}, 1)
    display = Display(tracker, Console(file=StringIO()))
    lost = []

    def lose(job, result):
        lost.append(job)
        return known_of({"status": "infra_lost", "value": None, "attempt": job.attempt})

    def tick():
        done = sum(len(queue.ends) for queue in queues)
        if done > 5 and cluster.first in cluster.worker_nodes:
            cluster.remove_node(cluster.first, allow_graceful=False)
        if done > 10 and len(cluster.worker_nodes) == 1:
            cluster.add_node(**NODE, labels={"hardware": "old"})

    monkeypatch.setattr(display, "tick", tick)
    monkeypatch.setattr(tuner, "TrialRunner", sleeper(str(tmp_path)))
    with ray_session(None, False, cluster.address, []) as session:
        names = {node.id: next(iter(node.hardware), "") for node in session.nodes}
        assert sorted(names.values()) == ["", "new", "old"]
        assert count_slots(session.nodes, {"small": queues[0].study.resources}) == 4
        tuner.fit(
            queues,
            {queue.study.id: worker for queue in queues},
            tracker,
            display,
            lambda: False,
            lose,
            tmp_path / "scratch",
            Signals(tmp_path, worker.run),
        )
    ends = [end for queue in queues for end in queue.ends]
    lines = [line.split() for line in (tmp_path / "log").read_text().splitlines()]
    # Each trial came to its end, once; those that were on the node were run again.
    settled = Counter(trial for trial, status in ends if status != "infra_lost")
    assert set(settled.values()) == {1}
    assert len(settled) == sum(queue.total for queue in queues)
    assert [job.trial for job in lost] == [trial for trial, status in ends if status == "infra_lost"]
    # Pins held, and the node that joined was used.
    assert {names[node] for trial, _, node in lines if trial.startswith("pinned")} == {"new"}
    assert {node for _, _, node in lines} - names.keys()
    # Workers were reused, and the one study that prunes did so before the second epoch.
    assert len({pid for _, pid, _ in lines}) < len(lines) / 2
    assert dict(queues[3].ends) == {"pruned0": "pruned"}
