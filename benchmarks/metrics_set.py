"""The whole set of metrics, and each alone, ours against others'; imported by metrics.py."""

import statistics
import time
from collections.abc import Callable

import numpy as np
from metrics_cases import TOLERANCE_MM, Volume
from metrics_others import OTHER_DEFINITIONS, single_peers
from metrics_peers import AT_ONCE, MONAI, Function, Inputs, Values, surface_distance_set
from metrics_timing import Bench, Report, Row, rows_of, times_as_long

from medseg.metrics import METRICS, evaluate_case

SET = ("dice", "hd", "hd95", "assd", "masd", "nsd")
# A library that takes so many times as long as the fastest at first sight is not among those that are timed.
_FASTEST_AMONG = 3
BARS = {"MONAI without MASD, one-hot before": 20.0, "surface-distance, masks before": 5.0}


def ours(volume: Volume, metrics: tuple[str, ...]) -> Callable[[], dict[str, Values]]:
    """Returns what measures a volume, and gives values by metric in the order of the labels."""

    def run() -> dict[str, Values]:
        rows = evaluate_case(
            volume.reference,
            volume.prediction,
            volume.spacing,
            volume.labels,
            metrics,
            tolerance_mm=TOLERANCE_MM,
        )
        found: dict[str, list[float]] = {}
        for row in rows:
            found.setdefault(row.metric, []).append(row.value)
        return {name: np.array(values) for name, values in found.items()}

    return run


def label_only_metrics() -> tuple[str, ...]:
    """Returns the registered metrics that need no probabilities."""
    return tuple(name for name in METRICS.names() if not METRICS.load(name).needs_probabilities)


def compare_sets(part: str, volume: Volume, bench: Bench, report: Report) -> None:
    """Times the whole set; MONAI has no MASD, so the bar is for its set without."""
    made = Inputs(volume)
    monai = [name for name in SET if name != "masd"]
    run = ours(volume, SET)
    values = run()
    for name in SET:
        _assert_equal(f"MONAI's {name} on {volume.name}", values[name], MONAI[name](made), name)
    found = surface_distance_set(made) if any(a.any() and b.any() for a, b in made.masks) else {}
    for name in {"dice", "nsd"} & found.keys():
        _assert_equal(f"surface-distance's {name} on {volume.name}", values[name], found[name], name)
    sides: dict[str, Callable[[], object]] = {
        "ours": run,
        "MONAI without MASD, one-hot before": lambda: [MONAI[name](made) for name in monai],
    }
    if found:
        sides["surface-distance, masks before"] = lambda: surface_distance_set(made)
    if volume.count <= AT_ONCE:  # of 117 labels MONAI's set takes minutes: once is enough
        sides["MONAI, one-hot before"] = lambda: [MONAI[name](made) for name in SET]
        sides["MONAI, from label maps"] = lambda: _all(SET, Inputs(volume))
        if found:
            sides["surface-distance, from label maps"] = lambda: surface_distance_set(Inputs(volume))
    empty = not found or np.isnan(found["nsd"]).any()
    notes = (
        {"ours": "surface-distance does without labels that are empty, on which it fails"} if empty else {}
    )
    dice = volume.dice()
    title = (
        f"{volume.name}: {volume.count} labels, Dice {min(dice, default=0):.2f} to {max(dice, default=0):.2f}"
    )
    report.add(title, rows_of(part, volume.name, bench.in_turn(sides), BARS, notes))


def _all(names: tuple[str, ...], inputs: Inputs) -> list[Values]:
    return [MONAI[name](inputs) for name in names]


def compare_singles(volume: Volume, bench: Bench, report: Report) -> None:
    """Times every metric alone against every library that has it, and shows the fastest.

    The bar is for the same work, from label maps to values; what masks made beforehand would save is shown, too.
    """
    peers, left_out = single_peers()
    for line in left_out:
        report.say(f"left out: {line}")
    made = Inputs(volume)
    rows = []
    for name in label_only_metrics():
        rows += _single_rows(name, volume, made, {k: v[name] for k, v in peers.items() if name in v}, bench)
    report.add(f"{volume.name}: every metric alone", rows)


def _single_rows(
    name: str, volume: Volume, made: Inputs, peers: dict[str, Function], bench: Bench
) -> list[Row]:
    run = ours(volume, (name,))
    value = run()[name]
    first = {}
    for library, function in peers.items():
        started = time.perf_counter()
        theirs = function(made)
        first[library] = time.perf_counter() - started
        if (library, name) not in OTHER_DEFINITIONS:
            _assert_equal(f"{library}'s {name} on {volume.name}", value, theirs, name)
    sides: dict[str, Callable[[], object]] = {"ours": run}
    for library, seconds in first.items():
        if seconds <= _FASTEST_AMONG * min(first.values()):
            sides[f"{library}, from label maps"] = _from_maps(peers[library], volume)
            sides[f"{library}, masks before"] = _bound(peers[library], made)
    return _fastest(name, bench.in_turn(sides))


def _fastest(name: str, seconds: dict[str, list[float]]) -> list[Row]:
    """Returns our row, and that of the fastest of the others from either start."""
    mine = seconds.pop("ours")
    rows = [Row("single", name, "ours", statistics.median(mine), min(mine), max(mine))]
    for kind, bar in (("from label maps", 1.0), ("masks before", None)):
        sides = [side for side in seconds if side.endswith(kind)]
        if not sides:
            continue
        side = min(sides, key=lambda side: statistics.median(seconds[side]))
        found = seconds[side]
        other = (side.split(",")[0], name) in OTHER_DEFINITIONS
        rows.append(
            Row(
                "single",
                name,
                side,
                statistics.median(found),
                min(found),
                max(found),
                ratio=times_as_long(found, mine),
                bar=bar,
                note="another definition" if other else "",
            )
        )
    return rows


def _bound(function: Function, made: Inputs) -> Callable[[], object]:
    return lambda: function(made)


def _from_maps(function: Function, volume: Volume) -> Callable[[], object]:
    return lambda: function(Inputs(volume))


def _assert_equal(what: str, values: Values, theirs: Values, name: str) -> None:
    """Compares where both have a number; of empty masks each has its own opinion."""
    both = np.isfinite(values) & np.isfinite(theirs)
    # MONAI and torchmetrics compute in float32, of which the percentile's position is rounded, too.
    tolerance = 1e-3 if name == "hd95" else 1e-5
    if not np.allclose(values[both], theirs[both], rtol=tolerance, atol=1e-7):
        raise SystemExit(f"{what} differs: ours {values}, theirs {theirs}")
