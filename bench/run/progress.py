"""A calm live display of a run: studies, trials, best so far, time left."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from bench.run.budget import Spending
from bench.run.tracker import StudyState, Tracker

REFRESH_PER_S = 2
PLAIN_EVERY_S = 15.0


def duration(seconds: float) -> str:
    """Returns `42 s`, `3:05 min` or `2:15 h`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d} h"


def spent(spending: Spending) -> str:
    """Returns what tuning has cost, in the measure of its budget: `40/200 epochs`, `1.5/4 h`, else `3:05 min`."""
    budget = spending.budget
    if budget is not None and budget.epochs is not None:
        return f"{spending.epochs}/{budget.epochs} epochs"
    if budget is not None and budget.device_hours is not None:
        return f"{spending.device_s / 3600:.3g}/{budget.device_hours:g} h"
    return duration(spending.device_s)


class Display:
    """Shows a tracker: a live table on a terminal, a line now and then elsewhere (a log file, CI).

    Args:
        tracker: What to show.
        console: Where to.
    """

    def __init__(self, tracker: Tracker, console: Console):
        self.tracker, self.console = tracker, console
        self.message = ""
        self._live = Live(
            get_renderable=self.render,
            console=console,
            refresh_per_second=REFRESH_PER_S,
            transient=True,
            redirect_stderr=False,
        )
        self._said, self._said_at, self._told = -1, 0.0, ""

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.console.is_terminal:
            self._live.stop()

    def tick(self) -> None:
        """Lets a display without a terminal say a line when there is news."""
        if self.console.is_terminal:
            return
        if self.message != self._told:
            self._told = self.message
            self.console.print(self.message, soft_wrap=True)
        if self.tracker.done == self._said:
            return
        now = time.monotonic()
        if now - self._said_at >= PLAIN_EVERY_S or self.tracker.done == self.tracker.planned:
            self._said, self._said_at = self.tracker.done, now
            self.console.print(self.headline(), soft_wrap=True)

    def headline(self) -> Text:
        """Returns the one line that sums the run up."""
        tracker = self.tracker
        failed = sum(state.failed for state in tracker.studies.values())
        pruned = sum(state.pruned for state in tracker.studies.values())
        left = tracker.time_left_s()
        parts = [
            f"{tracker.done}/{tracker.planned} trials",
            f"{duration(tracker.elapsed_s)} elapsed",
            f"about {duration(left)} left" if left is not None else "estimating time left",
        ]
        if pruned:
            parts.append(f"{pruned} pruned")
        if failed:
            parts.append(f"{failed} failed")
        if self.message:
            parts.append(self.message)
        return Text(" · ".join(parts))

    def render(self) -> RenderableType:
        """Returns the whole display."""
        table = Table(box=None, pad_edge=False, header_style="dim")
        for name in ("task", "entry"):
            table.add_column(name, no_wrap=True)
        table.add_column("tuning", justify="right")
        table.add_column("spent", justify="right", no_wrap=True)
        table.add_column("best", justify="right")
        table.add_column("final", justify="right")
        table.add_column("", no_wrap=True)
        for state in self.tracker.studies.values():
            table.add_row(*self._cells(state))
        return Group(self.headline(), Text(""), table)

    @staticmethod
    def _cells(state: StudyState) -> list[Text]:
        best = f"{state.best:.3f}" if state.best is not None else "-"
        spending = state.queue.spending if state.queue is not None else None
        return [
            Text(state.task),
            Text(state.entry),
            Text(f"{state.tune_done}/{state.tune_total}" if state.tune_total else "-"),
            Text(spent(spending) if spending is not None and spending.budget is not None else "-"),
            Text(best),
            Text(f"{state.final_done}/{state.final_total}"),
            Text(_doing(state), style="bold" if state.running else "dim"),
        ]


def _doing(state: StudyState) -> str:
    if state.queue is not None and state.queue.stopped:
        return f"stopped: {state.queue.standing.tally}"
    if state.running:
        return f"{state.running} running"
    ready = state.tune_done >= state.tune_total and state.final_done == state.final_total
    return "done" if ready else "waiting"
