"""What `bench run` does: plan, run, say how it went. Imports no torch."""

import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.cli.command_line import command_line
from bench.cli.commands import load_at_scale, make_console, make_plan_of, say_notes
from bench.cli.run_summary import say_summary
from bench.errors import BenchError, SuiteError
from bench.plan.plan import Plan
from bench.results.place import Place
from bench.run.choose import Chosen
from bench.run.early import Early
from bench.run.options import RunOptions
from bench.run.policy import FailureLimit, Policy
from bench.suite.document import YamlPath
from bench.suite.schema import Suite
from medseg.data.cache import cache_dir


@dataclass(frozen=True)
class Asked:
    """What was typed after `bench run`; see `bench.cli.run`."""

    suite: Path
    scale: str
    data: tuple[str, ...]
    results_root: Place
    only: Any
    retry: tuple[str, ...] | None
    tasks: tuple[str, ...]
    models: tuple[str, ...]
    losses: tuple[str, ...]
    limit: int | None
    max_hours: float | None
    max_failures: str
    timeout_s: float | None
    cpus: int | None
    address: str | None
    storage: str | None
    verbose: bool

    def check(self) -> None:
        """Refuses options that exclude each other.

        Raises:
            BenchError: If some do.
        """
        if self.retry and self.only != "missing":
            raise BenchError("--retry and --only exclude each other: --retry adds to what is missing")
        if self.cpus is not None and self.address is not None:
            raise BenchError("--cpus and --address exclude each other: a cluster knows its cores")

    def options(self, results: Place, started: float) -> RunOptions:
        """Returns how to run."""
        failures = FailureLimit.parse(self.max_failures)
        return RunOptions(
            results=results,
            cache=cache_dir(),
            policy=Policy(self.only, self.retry or (), failures),
            chosen=self.chosen,
            limit=self.limit,
            max_hours=self.max_hours,
            timeout_s=self.timeout_s,
            storage=self.storage,
            command=command_line(sys.argv[1:]),
            started=started,
        )

    @property
    def chosen(self) -> Chosen:
        """The studies that were asked for."""
        return Chosen(self.tasks, self.models, self.losses)


def run_command(asked: Asked) -> int:
    """Runs what a suite misses and says how it went; returns the exit code."""
    from bench.run.cluster import NoRoomError, check_address, ray_session

    started = time.monotonic()
    asked.check()
    check_address(asked.address)
    console = make_console()
    loaded = load_at_scale(asked.suite, asked.scale, console)
    asked.chosen.check(loaded.suite)
    results = asked.results_root / loaded.suite.suite
    # Who was never there is not waited for as long as who does not answer any more.
    results.hasty().check()
    if asked.storage is not None:
        from bench.run.sampling_mirror import check_storage

        check_storage(asked.storage)
    components = [entry.name for entry in (*loaded.suite.models, *loaded.suite.losses)]
    with Early(ray_session(asked.cpus, asked.verbose, asked.address, components)) as ray:
        # Where nothing is there yet there is work for sure; to look at models takes as long as to start Ray.
        plan = make_plan_of(loaded, asked.data, console, begin=ray.start if _is_new(results) else _later)
        say_notes(asked.chosen.of(plan.studies), console)
        from bench.run.engine import run_suite

        options = asked.options(results, started)
        try:
            summary = run_suite(plan, options, ray, console)
        except NoRoomError as error:
            if asked.address is not None:
                raise
            # Nothing will join this machine: it is the suite that asks for too much.
            place = loaded.locate(_resources_of(error.entry, plan, loaded.suite))
            raise SuiteError([(place, str(error))]) from error
    say_summary(summary, options, console)
    return summary.exit_code


def _resources_of(entry: str, plan: Plan, suite: Suite) -> YamlPath:
    """Returns where a suite says what a trial of an entry takes."""
    labels = {model.label for study in plan.studies if study.entry == entry for model in study.models}
    own = (index for index, model in enumerate(suite.models) if model.title in labels and model.resources)
    index = next(own, None)
    return ("resources",) if index is None else ("models", index, "resources")


def _later() -> None:
    """Leaves it to the run to start Ray, once it knows of work."""


def _is_new(results: Place) -> bool:
    with suppress(OSError, BenchError):
        return not results.files("trials")
    return False
