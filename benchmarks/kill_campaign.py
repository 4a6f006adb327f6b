"""Kills `bench run` again and again, runs it until it is done, and compares what is left to an undisturbed run.

Killed are the driver (`bench run` itself), a worker and Ray's raylet, by SIGKILL, at moments drawn from a seed that
is printed first. Then the same command again, and so on; after the last kill it may finish. Nothing may differ from
the undisturbed run but what a clock, a meter or a host name says, and no complete trial may be touched again.

    python benchmarks/kill_campaign.py [--kills 20] [--seed N] [--size small|large] [--kinds driver,worker,raylet]

The seed fixes which process dies, after how many new rows, and how long after. What it was doing depends on the
machine.
"""

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from kill_rows import committed, differences, leavings, untouched
from kill_run import ENDS, KINDS, BenchRun, write_suite

# A run in which no trial ends for so long hangs.
PATIENCE_S = {"small": 120.0, "large": 240.0}
LONGEST_PAUSE_S = 2.0
LONGEST_DELAY_S = {"small": 0.5, "large": 8.0}
MOST_ROWS = {"small": 1, "large": 3}


@dataclass(frozen=True)
class Kill:
    """Who dies, and when.

    Args:
        kind: One of `KINDS`.
        rows: New rows to wait for before, and until there is such a process.
        delay_s: And how long after that.
        which: From 0 to 1: which of several workers.
        pause_s: Before the next run starts; what a dead driver leaves may still be at work.
    """

    kind: str
    rows: int
    delay_s: float
    which: float
    pause_s: float


def draw(seed: int, count: int, kinds: tuple[str, ...], size: str) -> list[Kill]:
    """Returns the kills of a seed. Each kind comes once before any comes again."""
    rng = random.Random(seed)
    order: list[str] = []
    while len(order) < count:
        order += rng.sample(kinds, len(kinds))
    return [
        Kill(
            kind,
            rng.randint(0, MOST_ROWS[size]),
            rng.uniform(0, LONGEST_DELAY_S[size]),
            rng.random(),
            rng.uniform(0, LONGEST_PAUSE_S),
        )
        for kind in order[:count]
    ]


class Campaign:
    """One suite, killed as a list says.

    Args:
        suite: The suite's file.
        folder: Where results and logs go.
        kills: What is to happen.
        patience_s: A run in which no trial ends for so long hangs.
        slots: Trials at once.
    """

    def __init__(self, suite: Path, folder: Path, kills: list[Kill], patience_s: float, slots: int = 2):
        self.suite, self.folder, self.patience_s, self.slots = suite, folder, patience_s, slots
        self.results = folder / "results" / "kills"
        self.problems: list[str] = []
        self.left = list(kills)
        self._most = len(kills) + 3
        self._complete: dict[str, int] = {}

    def run(self) -> list[str]:
        """Kills, runs until done, and returns what is wrong."""
        runs: list[BenchRun] = []
        code: int | None = None
        while code != 0 and len(runs) < self._most:
            runs.append(BenchRun(self.suite, self.folder, len(runs) + 1, self.slots))
            code = self._disturb(runs[-1])
            self._note_end(runs[-1], code)
        if code != 0:
            self.problems.append(f"not done after {len(runs)} runs")
        self.problems += [f"left behind: {name}" for run in runs for name in run.survivors()]
        return self.problems + leavings(self.results)

    def _disturb(self, run: BenchRun) -> int | None:
        """Lets a run go on until it ends, killing what is due; returns its exit code, none if it hangs."""
        while self.left and self._wait(run, self.left[0]):
            kill = self.left.pop(0)
            name = run.kill(kill.kind, kill.which)
            self._say(run, f"{kill.kind}: {name or 'there is none'}, {committed(self.results)} rows")
            if kill.kind in ENDS:
                code = self._end(run)
                time.sleep(kill.pause_s)
                return code
        return self._end(run)

    def _wait(self, run: BenchRun, kill: Kill) -> bool:
        """Waits for the moment of a kill, but not for ever; says whether the run is still there then."""
        wanted, until = committed(self.results) + kill.rows, time.monotonic() + self.patience_s
        while committed(self.results) < wanted or not run.victims(kill.kind):
            if run.wait(0.05) is not None:
                return False
            if time.monotonic() > until:
                break
        return run.wait(kill.delay_s) is None

    def _end(self, run: BenchRun) -> int | None:
        """Waits for the run's end while there is news; returns its exit code, or none."""
        rows, until = -1, 0.0
        while (code := run.wait(0.1)) is None:
            if committed(self.results) != rows:
                rows, until = committed(self.results), time.monotonic() + self.patience_s
            if time.monotonic() > until:
                break
        return code

    def _note_end(self, run: BenchRun, code: int | None) -> None:
        said = run.output()
        last = said.strip().splitlines()[-1:] or [""]
        self._say(run, f"{'hangs' if code is None else f'ended with {code}'}: {last[0][:90]}")
        if code is None:
            self.problems.append(f"run {run.number} hangs: {run.log}")
            run.stop()
        elif "Traceback" in said or code == 70:
            self.problems.append(f"run {run.number} ended with a traceback: {run.log}")

    def _say(self, run: BenchRun, text: str) -> None:
        self.problems += untouched(self.results, self._complete)
        print(f"run {run.number}, {run.seconds:5.1f} s: {text}", flush=True)


def main() -> int:
    """Runs the campaign; 0 if nothing differs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=None, help="random by default")
    parser.add_argument("--size", choices=("small", "large"), default="large")
    parser.add_argument("--kinds", default="driver,worker,raylet", help=f"of {', '.join(KINDS)}")
    parser.add_argument("--keep", type=Path, help="folder for results and logs; a temporary one by default")
    arguments = parser.parse_args()
    kinds = tuple(arguments.kinds.split(","))
    if unknown := set(kinds) - set(KINDS):
        parser.error(f"--kinds: unknown {', '.join(sorted(unknown))}; choose from {', '.join(KINDS)}")
    seed = random.randrange(2**31) if arguments.seed is None else arguments.seed
    print(
        f"seed {seed}; again: python benchmarks/kill_campaign.py --seed {seed} --kills {arguments.kills} "
        f"--size {arguments.size} --kinds {arguments.kinds}",
        flush=True,
    )
    folder = arguments.keep or Path(tempfile.mkdtemp(prefix="kills-"))
    problems = compare(folder, arguments.size, draw(seed, arguments.kills, kinds, arguments.size))
    for problem in problems:
        print(f"WRONG: {problem}")
    if problems:
        print(f"see {folder}")
        return 1
    if arguments.keep is None:
        shutil.rmtree(folder)
    print("every trial once, and as in the undisturbed run")
    return 0


def compare(folder: Path, size: str, kills: list[Kill]) -> list[str]:
    """Runs the suite undisturbed and killed; returns what is wrong."""
    os.environ.setdefault("MEDSEG_CACHE", str(folder / "cache"))
    calm, killed = folder / "calm", folder / "killed"
    # One trial after the other: neither kills nor company may change anything.
    reference = Campaign(write_suite(calm, size), calm, [], PATIENCE_S[size], slots=1)
    problems = [f"undisturbed: {problem}" for problem in reference.run()]
    campaign = Campaign(write_suite(killed, size), killed, kills, PATIENCE_S[size])
    problems += campaign.run()
    if campaign.left:
        print(f"{len(campaign.left)} of {len(kills)} kills came too late: the suite was done before")
    return problems + differences(reference.results, campaign.results)


if __name__ == "__main__":
    sys.exit(main())
