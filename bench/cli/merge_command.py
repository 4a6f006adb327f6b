"""What `bench merge` does: one call, one rendering. Imports neither torch nor Ray."""

from collections.abc import Sequence

import click

from bench.cli.commands import make_console
from bench.cli.progress import progress_bars
from bench.errors import ResultsError
from bench.results.find import find_results
from bench.results.merge import Merged, merge, real_url
from bench.results.place import Place
from bench.words import plural


def merge_command(
    sources: Sequence[Place],
    output: Place,
    prefer: Place | None,
    dry_run: bool,
    skip_damaged: bool,
    results_root: Place,
) -> int:
    """Merges results and says what came from where; returns the exit code."""
    named = [find_results(source, results_root) for source in sources]
    places = [place for number, place in enumerate(named) if _same(place, named) == number]
    with progress_bars() as bars:
        merged = merge(
            places,
            output,
            None if prefer is None else places.index(named[_place_of(prefer, sources, named)]),
            lambda done, total: bars("merging", done, total),
            dry_run,
            skip_damaged,
        )
    console = make_console()
    twice = [place for number, place in enumerate(named) if _same(place, named) < number]
    for line in [
        *(f"{place} is named twice; it counts once" for place in twice),
        *_lines(merged, places, output, dry_run),
    ]:
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    if merged.conflicts:
        return 1
    return 0 if merged.trials else ResultsError.exit_code


def _same(place: Place, places: Sequence[Place]) -> int:
    """Returns the number of the first of some places that is this one, whatever it is called."""
    return [real_url(one) for one in places].index(real_url(place))


def _place_of(prefer: Place, sources: Sequence[Place], named: Sequence[Place]) -> int:
    """Returns the number of the place that is preferred, as typed or as found."""
    for source, place in zip(sources, named, strict=True):
        if prefer.url in (source.url, place.url):
            return _same(place, named)
    raise click.BadParameter(f"{prefer} is none of the runs that are merged", param_hint="--prefer")


def _lines(merged: Merged, places: Sequence[Place], output: Place, dry_run: bool) -> list[str]:
    lines = [*(f"left out: {line}" for line in merged.left_out), *merged.conflicts]
    lines += [f"settled by --prefer: {conflict}" for conflict in merged.settled]
    if merged.conflicts:
        lines.append(
            f"{plural(len(merged.conflicts), 'contradiction')}; nothing was written. Leave a run out"
            + ("." if merged.final else ", or say with --prefer whose word counts.")
        )
        return lines
    if not merged.trials:
        return [*lines, "No trial is left to merge; nothing was written."]
    lines += [
        f"{name} has no plan in a suite.json: what it planned and claims is missing"
        for name in merged.unplanned
    ]
    lines.append(f"{'Would merge' if dry_run else 'Merged'} {plural(merged.trials, 'trial')} into {output}:")
    for place, added, same in zip(places, merged.added, merged.same, strict=True):
        beside = f", {same:,} the same as others have" if same else ""
        lines.append(f"  {place}: {added:,}{beside}")
    return lines
