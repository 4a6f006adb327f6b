"""What `bench figures` does: one call, one rendering. Imports neither torch nor Ray."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.cli.commands import make_console
from bench.cli.options import stripped
from bench.leaderboard.answer import answer
from bench.leaderboard.figures.files import CAPTIONS, check_folder, write_figures
from bench.leaderboard.figures.material import gather
from bench.leaderboard.figures.specs import NAMES, check_names
from bench.leaderboard.request import Request
from bench.plan.identity import code_fingerprint
from bench.results.find import find_results
from bench.results.place import Place
from bench.results.store import Store
from bench.words import plural


def figures_command(
    results: Place | None,
    results_root: Place,
    asked: Mapping[str, Any],
    only: tuple[str, ...] | None,
    output: Path,
    kind: Any,
    theme: Any,
) -> int:
    """Draws figures and says which, and why others were not drawn; returns the exit code.

    Args:
        results: Place of the results, if given.
        results_root: Place that holds a folder per suite.
        asked: Fields of `bench.leaderboard.request.Request`.
        only: Which figures; all by default.
        output: Folder to write to.
        kind: ``svg``, ``pdf`` or ``png``.
        theme: ``light`` or ``dark``.
    """
    check_names(only or ())
    check_folder(output)
    request = Request(**stripped(asked))
    console = make_console()

    def say(text: str) -> None:
        console.print(text, soft_wrap=True, highlight=False, markup=False)

    where = Path(request.suite) if results is None and request.suite is not None else results
    store = Store(find_results(where, results_root))
    said = answer(store, request, code_fingerprint())
    with console.status("drawing"):
        material = gather(store, said.cells, said.boards, said.overall)
        written = write_figures(material, output, kind, theme, only or NAMES)
    if said.notice:
        say(said.notice)
    for path, drawing in written:
        if drawing.figure is not None:
            say(f"{path}: {drawing.title}")
    for _, drawing in written:
        if drawing.figure is None:
            say(f"not drawn: {drawing.title} ({drawing.why})")
    for board in said.boards:
        if not board.rows:
            say(f"not drawn: {board.task} (nothing to rank)")
    drawn = sum(drawing.figure is not None for _, drawing in written)
    if drawn:
        say(f"{plural(drawn, 'figure')}; {output / CAPTIONS} tells how to read them.")
    return 0
