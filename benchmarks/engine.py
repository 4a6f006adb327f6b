"""What the engine costs around its trials. Every bar is measured beside what it is compared to, in one run.

    python benchmarks/engine.py [--only short,busy,growth,loop,cluster] [--share 1.0]

- `short`: 12 studies x 8 trials of 0.5 s on 2 slots, by `run_suite` (search with its mirror, queues, Tune, results
  store) and by bare Ray actors with ask and tell. Bar: 36 s after Ray is up.
- `busy`: the same with trials of 20 s and of 5 s: share of slot time in which trials run. Bars: 98% and 93%.
- `growth`: seconds per trial that does nothing, of 1,000 against 100. Bar: at most 20% more.
- `loop`: ten trials of 30 s, trained by `bench run` and by a bare loop. Bar: at most 5% slower, start-up aside.
- `cluster`: 200 trials of 0.25, 1 and 4 logical GPUs on a simulated cluster of 4 nodes with 8 each. Bar: 90% packing,
  no shape waits for the others to end, and a node that goes takes nothing with it.

`--share 0.25` takes a quarter of the studies (of the seconds, in `loop` and `cluster`): to look, not to state.
"""

import argparse
import os

from bench.run.cluster import QUIET

# Read when Ray is imported, as the next lines do.
os.environ.update(QUIET)

from engine_bare import measure_bare
from engine_cluster import measure_cluster
from engine_loop import measure_loop
from engine_sleep import measure_engine

STUDIES, TRIALS = 12, 8


def main() -> None:
    """Prints a table per part."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parts = {"short": short, "busy": busy, "growth": growth, "loop": measure_loop, "cluster": measure_cluster}
    parser.add_argument("--only", default=",".join(parts), help="parts, joined by commas")
    parser.add_argument("--share", type=float, default=1.0)
    arguments = parser.parse_args()
    chosen = arguments.only.split(",")
    if unknown := set(chosen) - set(parts):
        parser.error(f"--only: unknown {', '.join(sorted(unknown))}; choose from {', '.join(parts)}")
    for name in chosen:
        parts[name](arguments.share)


def short(share: float) -> None:
    """Trials of half a second: a race against bare actors."""
    _race(0.5, share, "bar: 36 s after Ray is up")


def busy(share: float) -> None:
    """Longer trials: are the slots busy?"""
    for seconds, bar in ((5.0, "93%"), (20.0, "98%")):
        _race(seconds, share, f"bar: {bar} busy")


def _race(seconds: float, share: float, bar: str) -> None:
    studies = max(2, round(STUDIES * share))
    print(f"\n{studies} studies x {TRIALS} trials of {seconds:g} s on 2 slots ({bar})")
    for name, measure in (("bare actors", measure_bare), ("engine", measure_engine)):
        found = measure(studies, TRIALS, seconds)
        first = found.spans[0].begin - found.up
        print(
            f"  {name:12} {found.total_s:6.1f} s after Ray is up, first trial at {first:4.1f} s, then "
            f"{found.busy:.1%} busy; trials per worker {found.shares}",
            flush=True,
        )


def growth(share: float) -> None:
    """Trials that do nothing: does each cost more when there are many?"""
    few, many = 10, max(20, round(100 * share))
    print(f"\n10 studies x {few} and x {many} trials that do nothing (bar: at most 20% more per trial)")
    for sampler in ("random", "tpe"):
        less, more = (measure_engine(10, trials, 0.0, sampler).per_trial_s for trials in (few, many))
        print(
            f"  {sampler:6} {less * 1e3:6.1f} ms per trial of {10 * few}, {more * 1e3:6.1f} ms of {10 * many}: "
            f"{more / less - 1:+.0%}",
            flush=True,
        )


if __name__ == "__main__":
    main()
