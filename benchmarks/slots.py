"""Does Tune keep every slot busy? Actors that import torch when they start, against our way: in their first step.

Both sides run in turn in this process, each on a fresh local Ray with 2 slots: short trials of sleeping steps, with
the same `reuse_actors` and one pending trial at a time as `bench run` has. A model of the engine, not the engine.

    python benchmarks/slots.py [--trials 24] [--seconds 1.0]
"""

import argparse
import os
import tempfile
import time
from collections import Counter
from typing import Any

from bench.run.cluster import ray_session

STEPS = 4


def main() -> None:
    """Prints how the trials fell on the workers and the share of slot time that was trial time."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=1.0)
    arguments = parser.parse_args()
    for eager in (True, False):
        with ray_session(2, verbose=False):
            rows = run(arguments.trials, arguments.seconds, eager)
        span = max(row[2] for row in rows) - min(row[1] for row in rows)
        busy = sum(row[2] - row[1] for row in rows) / (2 * span)
        spread = sorted(Counter(row[0] for row in rows).values(), reverse=True)
        print(
            f"torch at {'start' if eager else 'first step'}: workers {spread}, busy {busy:.0%}, {span:.1f} s"
        )


def run(trials: int, seconds: float, eager: bool) -> list[tuple[int, float, float]]:
    """Runs the trials; returns worker, start and end of each."""
    from ray import tune
    from ray.tune.search import Searcher

    class Sleeper(tune.Trainable):
        def setup(self, config: dict[str, Any]) -> None:
            if eager:
                import torch  # noqa: F401
            self.begin = 0.0

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self.begin = 0.0
            return True

        def step(self) -> dict[str, Any]:
            import torch  # noqa: F401

            self.begin = self.begin or time.time()
            time.sleep(seconds / STEPS)
            done = time.time() - self.begin >= seconds * 0.99
            return {"done": done, "worker": os.getpid(), "begin": self.begin, "end": time.time()}

        def save_checkpoint(self, checkpoint_dir: str) -> None:
            pass

    rows: list[tuple[int, float, float]] = []

    class Feed(Searcher):
        left = trials

        def suggest(self, trial_id: str) -> Any:
            if not self.left:
                return Searcher.FINISHED
            self.left -= 1
            return {"trial": trial_id}

        def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
            rows.append((result["worker"], result["begin"], result["end"]))

        def __deepcopy__(self, memo: dict[int, Any]) -> "Feed":
            return self

        def __getstate__(self) -> dict[str, Any]:
            return {}

    with tempfile.TemporaryDirectory() as scratch:
        tune.Tuner(
            tune.with_resources(Sleeper, {"CPU": 1}),
            tune_config=tune.TuneConfig(search_alg=Feed(), num_samples=10**9, reuse_actors=True),
            run_config=tune.RunConfig(storage_path=scratch, verbose=0),
        ).fit()
    return rows


if __name__ == "__main__":
    main()
