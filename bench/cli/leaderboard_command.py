"""What `bench leaderboard` does."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.cli.commands import make_console
from bench.cli.options import stripped

if TYPE_CHECKING:
    from bench.results.place import Place


def leaderboard_command(
    results: "Place | None",
    results_root: "Place",
    asked: Mapping[str, Any],
    style: str | None,
    output: Path | None,
) -> int:
    """Prints the leaderboard of a run.

    Args:
        results: Place of the results, if given.
        results_root: Place that holds a folder per suite.
        asked: Fields of `bench.leaderboard.request.Request`.
        style: Format; by default what the file's suffix says.
        output: File to write instead of printing.
    """
    from bench.leaderboard.request import Request
    from bench.leaderboard.show import show

    request = Request(**stripped(asked))
    show(results, results_root, console=make_console(), request=request, style=style, output=output)
    return 0
