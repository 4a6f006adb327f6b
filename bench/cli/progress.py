"""Progress bars of commands that read many files."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def progress_bars(prefix: str = "") -> Iterator[Callable[[str, int, int], None]]:
    """Shows bars on a terminal, and nothing elsewhere; leaves standard output alone.

    Args:
        prefix: Stands before the name of each stage.

    Yields:
        What is to be told a stage, and how much of how much is done.
    """
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bars = {}

        def watch(stage: str, done: int, total: int) -> None:
            if stage not in bars:
                bars[stage] = progress.add_task(f"{prefix}{stage}", total=total)
            progress.update(bars[stage], completed=done, total=total)

        yield watch
