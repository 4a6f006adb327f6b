"""Unites the results of several runs: a union on identity, which reports contradictions instead of choosing."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import BenchError, ResultsError
from bench.results.additions import compare_cases, with_rows
from bench.results.compaction import compact, is_due
from bench.results.gathered import restore_index
from bench.results.lock import RunLock
from bench.results.merge_rows import merge_rows, study_conflicts
from bench.results.merge_suites import Conflict, other_names, unite_suites
from bench.results.merge_trials import Owners, compare_all_cases, find_owners
from bench.results.place import Place, is_url
from bench.results.salvage import Salvage
from bench.results.store import Store
from bench.results.transfer import Key, commit, trial_tables

Watch = Callable[[int, int], object]


@dataclass(frozen=True)
class Merged:
    """What became of a merge.

    Args:
        trials: How many trials the result holds; 0 where nothing was written.
        added: By source, how many of them were taken from it.
        same: How many more it had that are the same.
        conflicts: Contradictions that are left: if there is one, nothing was written.
        settled: Contradictions that `prefer` has decided.
        left_out: What is damaged in the sources, a line each.
        unplanned: Sources without a plan in `suite.json`: what they planned and claim is not known.
        final: Whether there are contradictions that `prefer` cannot decide.
    """

    trials: int
    added: tuple[int, ...]
    same: tuple[int, ...]
    conflicts: tuple[str, ...] = ()
    settled: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    unplanned: tuple[str, ...] = ()
    final: bool = False


def merge(
    sources: Sequence[Place],
    target: Place,
    prefer: int | None = None,
    watch: Watch = lambda done, total: None,
    dry_run: bool = False,
    skip_damaged: bool = False,
) -> Merged:
    """Writes the union of several results into one place.

    Trials are the same if id and code are. What `target` holds already counts as another source, the first one: so a
    merge that was interrupted goes on when it is repeated. Predictions, weights and checkpoints stay where they are.

    Args:
        sources: Places of results: folders, object stores, bundles.
        target: Where the union goes.
        prefer: Number of the source whose word counts where two contradict each other; none: nobody's does.
        watch: Told how many trials are done, and how many there are.
        dry_run: Write nothing.
        skip_damaged: Leave out trials that are damaged in one place, and take them from another where they are whole.

    Where nothing is left to merge nothing is written.

    Raises:
        BenchError: If the target lies in a source.
        ResultsError: If a source has no results or cannot be read, or the target is in use or cannot be written.
        OSError: If the disk is full or a store cannot be reached; repeat the merge then.
    """
    for source in sources:
        if real_url(target).startswith(f"{real_url(source).rstrip('/')}/"):
            raise BenchError(
                f"{target} lies in {source}, which is to be merged; name a folder outside it, or {source} itself"
            )
        source.hasty().check()
        if "trials" not in source.folders():
            raise ResultsError(f"{source}: no results there")
    held = "trials" in target.folders()
    lock = nullcontext() if dry_run else RunLock(target)
    # What is new is locked when it is written: of a merge that is refused nothing is left.
    with lock if held else nullcontext():
        others = [place for place in sources if real_url(place) != real_url(target)]
        first = [] if prefer is None else [sources[prefer]]
        places = {real_url(place): place for place in (*first, *([target] if held else []), *others)}
        stores = [Salvage(place) if skip_damaged else Store(place) for place in places.values()]
        found, write = _compare(stores, sources, target, prefer is not None)
        if found.trials and not dry_run and not found.conflicts:
            with nullcontext() if held else lock:
                write(Store(target), watch)
        return found


def real_url(place: Place) -> str:
    """Returns one name of a place, by whatever links it was reached."""
    return place.url if is_url(place.url) else str(Path(place.url).resolve())


def _compare(
    stores: Sequence[Store], sources: Sequence[Place], target: Place, preferring: bool
) -> tuple[Merged, Callable[[Store, Watch], None]]:
    """Returns what a merge would do, and what does it."""
    names = [str(store.root) for store in stores]
    suites = [store.read_suite() for store in stores]
    suite, conflicts = unite_suites(suites, names)
    # With other names of patients nothing else can be compared.
    owners = Owners() if other_names(suites) else find_owners(stores, names)
    compare_all_cases(stores, names, owners)
    conflicts += owners.conflicts
    conflicts += [] if other_names(suites) else study_conflicts(stores, names, suites)
    urls = [real_url(store.root) for store in stores]

    def settles(conflict: Conflict) -> bool:
        # What the target holds is not taken out of it.
        stays = conflict.leaves_out and urls[conflict.other] == real_url(target)
        return preferring and conflict.kept == 0 and not conflict.final and not stays

    settled = list(filter(settles, conflicts))
    # Whoever is named twice gives once.
    named = [real_url(source) for source in sources]
    order = [-1 if url in named[:number] else urls.index(url) for number, url in enumerate(named)]
    found = Merged(
        len(owners.rows),
        tuple(list(owners.places.values()).count(place) for place in order),
        tuple(sum(place in others for others in owners.same.values()) for place in order),
        tuple(str(conflict) for conflict in conflicts if conflict not in settled),
        tuple(map(str, settled)),
        tuple(line for store in stores if isinstance(store, Salvage) for line in store.left_out),
        tuple(name for name, suite in zip(names, suites, strict=True) if not suite),
        any(conflict.final for conflict in conflicts),
    )

    def write(union: Store, watch: Watch) -> None:
        # What is damaged was left out, or has ended it before.
        restore_index(target, lambda name, group, error: None)
        if suite is not None:
            union.write_suite(suite)
        merge_rows(stores, union, suite)
        _write(stores, union, owners, watch)
        if is_due(target):
            compact(target)

    return found, write


def _write(stores: Sequence[Store], target: Store, owners: Owners, watch: Watch) -> None:
    own = [store for store in stores if real_url(store.root) == real_url(target.root)]
    held = {key for store in own for key in _keys(store)}
    done, total = 0, len(owners.rows)
    for place, store in enumerate(stores):
        mine = [key for key, owner in owners.places.items() if owner == place]
        # Trials of the target stay as they are, but for what others have measured.
        work = [key for key in mine if key in owners.more] if store in own else mine
        done += len(mine) - len(work)
        for key, (cases, curves) in trial_tables(store, work, ["cases", "curves"]):
            added = _measured_by_others(stores, owners, key, cases)
            if store in own:
                target.add_cases(*key, owners.rows[key]["attempt"], added)
            else:
                commit(target, owners.rows[key], with_rows(cases, added), curves, key in held)
            done += 1
            watch(done, total)


def _keys(store: Store) -> list[Key]:
    table = store.table("trials")
    return list(zip(table["trial"].to_pylist(), table["code"].to_pylist(), strict=True))


def _measured_by_others(
    stores: Sequence[Store], owners: Owners, key: Key, cases: Any
) -> list[dict[str, Any]]:
    """Returns the case rows of a trial that others have beside those that are there."""
    added: list[dict[str, Any]] = []
    for other in owners.more.get(key, ()):
        ((_, (theirs,)),) = trial_tables(stores[other], [key], ["cases"])
        new = compare_cases(with_rows(cases, added), theirs.to_pylist()).added
        added += [{**row, "attempt": owners.rows[key]["attempt"]} for row in new]
    return added
