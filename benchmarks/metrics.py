"""How fast metrics are, against MONAI, surface-distance and others, and how much memory they take.

Both sides run in this process, in turn, on the same core and arrays; medians of several rounds, the first left out.
Before anything is timed, the values are compared.

    python benchmarks/metrics.py [--only PART ...] [--acdc PATH] [--rounds 5] [--quick] [--json]

set     counts and Dice, HD, HD95, ASSD, MASD, NSD of three labels: ACDC, its size, and 256x256x128
single  every metric alone, against the fastest library that has it
many    100 volumes of ACDC's size, all metrics, in two processes
memory  what a case takes beyond its two label maps
hard    noise, an empty prediction, organs in opposite corners, 117 labels

The peers: pip install -e '.[test]'. Single metrics of torchmetrics, medpy and panoptica are measured where these
can be imported. Not measured: seg-metrics, which visits voxels one by one in Python.
"""

import argparse
import os
import warnings
from pathlib import Path

import torch
from metrics_cases import HARD, Volume, acdc, acdc_sized, large, small
from metrics_load import measure_many, measure_memory
from metrics_set import compare_sets, compare_singles
from metrics_timing import Bench, Report, one_core

PARTS = ("set", "single", "many", "memory", "hard")
DATA = Path(__file__).parents[2] / "shared" / "data" / "acdc"


def main() -> None:
    """Runs the parts that were asked for."""
    arguments = parse()
    warnings.simplefilter("ignore")  # of peers: empty masks, deprecated names
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"  # of the processes that are started
    bench = Bench(1 if arguments.quick else arguments.rounds, arguments.patience)
    report = Report(arguments.json, with_bars=not arguments.quick)
    report.say(f"{len(os.sched_getaffinity(0))} cores; load {os.getloadavg()[0]:.1f}; {bench.rounds} rounds")
    if arguments.quick:
        report.say("QUICK: not a measurement")
    with one_core():
        if "set" in arguments.only:
            for volume in set_volumes(arguments):
                compare_sets("set", volume, bench, report)
        if "single" in arguments.only:
            for volume in [next(small())] if arguments.quick else [*acdc(arguments.acdc, 1), large()]:
                compare_singles(volume, bench, report)
    if "many" in arguments.only:
        measure_many(acdc(arguments.acdc, 4 if arguments.quick else 100), bench, report)
    if "memory" in arguments.only:
        measure_memory([next(small())] if arguments.quick else [acdc_sized(), large()], report)
    if "hard" in arguments.only:
        with one_core():
            for make in [] if arguments.quick else [HARD[name] for name in arguments.hard]:
                compare_sets("hard", make(), bench, report)
    report.end()


def parse() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", default=list(PARTS), choices=PARTS, metavar="PART")
    parser.add_argument("--hard", nargs="+", default=list(HARD), choices=HARD, help="which hard cases")
    parser.add_argument("--acdc", type=Path, default=DATA, help="root of ACDC; generated hearts if absent")
    parser.add_argument("--volumes", type=int, default=4, help="of ACDC, in the part 'set'")
    parser.add_argument("--rounds", type=int, default=5, help="that count")
    parser.add_argument("--patience", type=float, default=20.0, help="seconds; what is slower runs once")
    parser.add_argument("--quick", action="store_true", help="tiny crops: does it run?")
    parser.add_argument("--json", action="store_true", help="print rows as JSON instead of tables")
    return parser.parse_args()


def set_volumes(arguments: argparse.Namespace) -> list[Volume]:
    """Returns what the whole set is measured on."""
    if arguments.quick:
        return list(small())
    return [*acdc(arguments.acdc, arguments.volumes), acdc_sized(), large()]


if __name__ == "__main__":
    main()
