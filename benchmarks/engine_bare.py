"""The same sleeping trials by bare Ray actors with Optuna's ask and tell, and nothing else. Imported by engine.py."""

import os
import time
from collections import deque
from typing import Any

import optuna
from engine_sleep import SECONDS, SLOTS, Measured, diary, read, sleep_trial

from bench.run.cluster import ray_session


def measure_bare(studies: int, trials: int, seconds: float) -> Measured:
    """Runs the trials on one actor per slot; search is TPE in memory, nothing is written."""
    with diary(seconds) as path, ray_session(SLOTS, verbose=False):
        up = time.time()
        _run(studies, trials)
        return Measured(read(path), up)


def _run(studies: int, trials: int) -> None:
    import ray

    class Sleeper:
        def run(self) -> None:
            for _ in sleep_trial(float(os.environ[SECONDS])):
                pass

    actor = ray.remote(num_cpus=1)(Sleeper)
    free: deque[Any] = deque(actor.remote() for _ in range(SLOTS))
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    searches = [
        optuna.create_study(sampler=optuna.samplers.TPESampler(seed=n, multivariate=True))
        for n in range(studies)
    ]
    left = deque(searches[n % studies] for n in range(studies * trials))
    live: dict[Any, tuple[Any, optuna.Study, optuna.Trial]] = {}
    while left or live:
        while left and free:
            search, worker = left.popleft(), free.popleft()
            trial = search.ask()
            trial.suggest_float("rate", 1e-4, 2e-2, log=True)
            live[worker.run.remote()] = (worker, search, trial)
        (done, *_), _rest = ray.wait(list(live), num_returns=1)
        ray.get(done)
        worker, search, trial = live.pop(done)
        search.tell(trial, 1 - abs(trial.params["rate"] - 4e-3))
        free.append(worker)
