import inspect
from types import SimpleNamespace

import pytest
from ray.air.execution._internal.actor_manager import RayActorManager
from ray.exceptions import ActorDiedError, OutOfMemoryError, RayActorError, RayTaskError

from bench.run.deaths import as_death, cause, cause_of, take_all_deaths

HEAD = "The actor died unexpectedly before finishing this task.\n\tclass_name: TrialRunner\n\tpid: 374\n"
EXIT = (
    HEAD
    + "The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR Worker exit detail: "
)
AT_ONCE = EXIT + (
    "Worker unexpectedly exits with a connection error code 2. End of file. Some common causes include: (1) the "
    "process was killed by the OOM killer due to high memory usage, (2) ray stop --force was called, or (3) ..."
)


@pytest.mark.parametrize(("text", "line"), [
    (EXIT + "Worker exits unexpectedly. Worker exits with an exit code 4.", "exit code 4"),
    (EXIT + "Worker exits with an exit code 1. The process receives a SIGTERM.", "SIGTERM"),
    (AT_ONCE, "SIGKILL (out of memory?), a crash such as SIGSEGV, or os._exit"),
    (HEAD + "The actor died because its node has died. Node Id: 0fc7", "its machine is gone"),
    (HEAD + "The actor is dead because it was killed by `ray.kill`.", "ended by the run"),
    ("1 worker(s) were killed due to the node running low on memory.\nTop 10 memory users: ...",
     "memory ran low on its machine, and Ray ended it"),
    ("Traceback (most recent call last):\n  ...\nOSError: [Errno 5] Input/output error\n",
     "OSError: [Errno 5] Input/output error"),
    ("x" * 999, "x" * 200),
    ("", ""),
])  # fmt: skip
def test_what_ray_says_becomes_a_short_line(text, line):
    assert cause(text) == line


def test_a_cause_is_read_where_tune_writes_it(tmp_path):
    file = tmp_path / "error.txt"
    file.write_text("Failure # 1 (occurred at 2026-01-01_00-00-00)\n" + AT_ONCE + "\n")
    assert cause_of(SimpleNamespace(error_file=str(file))).startswith("SIGKILL")


@pytest.mark.parametrize("file", [None, "/nowhere/error.txt"])
def test_a_cause_may_be_unknown(file):
    assert cause_of(SimpleNamespace(error_file=file)) == ""


def test_a_worker_that_ray_ends_for_memory_has_died_for_tune_too():
    assert not issubclass(OutOfMemoryError, RayActorError), "Tune knows it by now: `take_all_deaths` can go"
    seen = []

    class Manager:
        def _actor_task_failed(self, tracked_actor_task, exception):
            seen.append((tracked_actor_task, exception))

    manager = Manager()
    take_all_deaths(manager)
    manager._actor_task_failed(
        tracked_actor_task="t", exception=OutOfMemoryError("the node running low on memory")
    )
    ((task, error),) = seen
    assert task == "t"
    assert isinstance(error, RayActorError)
    assert cause(str(error)) == "memory ran low on its machine, and Ray ended it"


@pytest.mark.parametrize(
    "error", [ActorDiedError(), RayTaskError("f", "trace", ValueError("x")), ValueError("x")]
)
def test_other_errors_stay_what_they_are(error):
    assert as_death(error) is error


def test_tune_has_what_we_replace():
    assert list(inspect.signature(RayActorManager._actor_task_failed).parameters) == [
        "self", "tracked_actor_task", "exception",
    ]  # fmt: skip
