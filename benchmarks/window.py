"""What does `tune.window` cost? Regret of TPE by window, beside random search, on a noisy function.

Settings do not depend on how many trials run at once, so a search that is asked and told one by one shows what one
with as many slots as its window would try. No training, no Ray.

    python benchmarks/window.py [--seeds 100] [--trials 20]
"""

import argparse
import math
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from bench.plan import make_plan
from bench.plan.study import Study
from bench.run.outcome import Outcome
from bench.run.sampling import Sampling
from bench.suite import load_suite
from bench.suite.search import SamplerSpec

SUITE = """
suite: window
tasks: [{name: phantom-lung, image_size: [32, 32]}]
models: [{name: unet, options: {features: [4, 8]}}]
losses: [ce_dice]
train: {weight_decay: 1.0e-5}
tune:
  budget: {trials: 20}
  space:
    train.learning_rate: {low: 1.0e-5, high: 1.0e-1, log: true}
    train.weight_decay: {low: 1.0e-6, high: 1.0e-1, log: true}
    train.warmup: {low: 0.0, high: 0.5}
"""
NOISE = 0.02


def main() -> None:
    """Prints mean regret and its standard error for each window."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--trials", type=int, default=20)
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "window.yaml"
        path.write_text(SUITE)
        study = make_plan(load_suite(path), {}, Path(folder)).studies[0]
    kinds = [(f"tpe, window {window}", "tpe", window) for window in (1, 2, 4, 8)]
    for name, sampler, window in [*kinds, ("random", "random", 1)]:
        regrets = [
            regret(
                replace(study, seed=seed, window=window, sampler=SamplerSpec(name=sampler)), arguments.trials
            )
            for seed in range(arguments.seeds)
        ]
        error = np.std(regrets, ddof=1) / math.sqrt(len(regrets))
        print(f"{name:14} {np.mean(regrets):.3f} (SE {error:.3f})", flush=True)


def regret(study: Study, trials: int) -> float:
    """Returns what the setting that a search would choose falls short of the best there is, without noise."""
    rng = np.random.default_rng(study.seed)
    sampling = Sampling(study)
    for number in range(trials):
        asked = sampling.ask()
        assert asked is not None
        score = quality(asked.setting) + NOISE * float(rng.standard_normal())
        sampling.tell(number, Outcome("complete", score))
    best = sampling.best()
    assert best is not None
    return 1.0 - quality(best.setting)


def quality(setting: dict[str, float]) -> float:
    """Returns a score, 1 at rate 10^-2.5, decay 1e-3 and warm-up 0.1; the parameters matter unequally."""
    rate = math.log10(setting["train.learning_rate"]) + 2.5
    decay = math.log10(setting["train.weight_decay"]) + 3.0
    return math.exp(-0.25 * rate**2 - 0.03 * decay**2 - 2.0 * (setting["train.warmup"] - 0.1) ** 2)


if __name__ == "__main__":
    main()
