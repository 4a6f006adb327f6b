"""How fast training is: against the bare model step, MONAI and nnU-Net, and what a trial costs around its steps.

Sides run in this process, in turn, on the same data, cores and device; each table gives medians and the range of the
ratio over rounds. Data are generated.

    python benchmarks/training.py [--only NAME ...] [--device cuda] [--quick]

bare        our whole step (batch, nnU-Net's augmentation, model, clip, optimiser, bookkeeping) against the model's
monai       MONAI's transforms, CacheDataset and loops: pip install -e '.[benchmarks]'
nnunet      nnU-Net's own trainer on its own plan: see training_nnunet.py for its environment
precision   the model's step in each precision and memory layout, on a GPU also compiled
validation  the share of validation in a trial of 250 steps of 16 slices
start       seconds from a fresh process to the end of a trial's first step
share       samples per second when several processes share the device
"""

import argparse
import os
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product

import torch
import training_trials
from training_nnunet import Plan, compare_nnunet
from training_peers import compare_monai
from training_setup import (
    DTYPES,
    Bench,
    Work,
    bare_step,
    endless,
    facts,
    fresh_model,
    in_turn,
    keep_to,
    make_loop,
    phantom,
    phantom_arrays,
    print_table,
    rate,
    ratio,
    repeat,
    whole_epochs,
    work,
)

from medseg.training.config import TrainConfig
from medseg.training.placement import memory_format

LAYOUTS = {"NCHW": torch.contiguous_format, "channels_last": torch.channels_last}


def main() -> None:
    """Runs the measurements that were asked for."""
    arguments = parse()
    cores = arguments.cores or (2 if arguments.device == "cpu" else len(os.sched_getaffinity(0)))
    keep_to(cores)
    bench = Bench(
        device=torch.device(arguments.device),
        cores=cores,
        rounds=2 if arguments.quick else arguments.rounds,
        steps=2 if arguments.quick else arguments.steps,
        precision=arguments.precision,
        quick=arguments.quick,
    )
    print(facts(bench, ["torch"]))
    plan = Plan(arguments.plan_width, arguments.plan_batch, arguments.nnunet_workers)
    measurements = MEASUREMENTS | {"nnunet": partial(compare_nnunet, plan=plan)}
    for name in arguments.only:
        measurements[name](bench)


def parse() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", default=list(MEASUREMENTS), choices=MEASUREMENTS, metavar="NAME")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--cores", type=int, help="of both sides, helpers included; 2, on a GPU all")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=20, help="per round and side")
    parser.add_argument("--precision", default="fp32", choices=DTYPES, help="of bare, monai and share")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does it run?")
    parser.add_argument("--plan-width", type=int, help="first width of nnU-Net's network; its plan's own")
    parser.add_argument("--plan-batch", type=int, help="nnU-Net's batch; its plan's own")
    parser.add_argument("--nnunet-workers", nargs="+", type=int, help="numbers to try; nnU-Net's own choice")
    return parser.parse_args()


def compare_bare(bench: Bench) -> None:
    """Our whole step against the bare one, with and without clipping the gradient."""
    works = [
        work("unet", (16, 32, 64, 128, 256), 128, 8),
        work("unet", (8, 16, 32, 64), 64, 8),
        work("resunet", (16, 32, 64, 128, 256), 128, 8),
        work("resunet", (8, 16, 32, 64), 64, 8),
    ]
    if bench.quick:
        works = [work("unet", (4, 8), 32, 2), work("resunet", (4, 8), 32, 2)]
    print_table(
        "Our whole step against the bare step on a random tensor (samples/s; bar: ratio >= 0.90)",
        ["network", "whole", "bare", "bare, clipped", "ratio to bare", "to bare, clipped", "data share"],
        (_bare_row(one, bench) for one in works),
    )


def _bare_row(one: Work, bench: Bench) -> list[object]:
    spec = endless(
        phantom(one.size),
        one.model,
        batch_size=one.batch,
        steps_per_epoch=bench.steps,
        precision=bench.precision,
        compile="off",
    )
    loop = make_loop(spec, phantom_arrays(one.size), bench.device)
    layout, clip_norm = loop.memory_format, spec.train.clip_norm
    sides = {
        "whole": whole_epochs(loop),
        "bare": repeat(bare_step(spec, bench.device, layout), bench.steps),
        "clipped": repeat(bare_step(spec, bench.device, layout, clip_norm), bench.steps),
    }
    seconds = in_turn(sides, bench)
    samples = bench.steps * one.batch
    share = loop.progress.data_s / loop.progress.train_s
    return [
        one,
        *(rate(samples, times) for times in seconds.values()),
        ratio(seconds["bare"], seconds["whole"]),
        ratio(seconds["clipped"], seconds["whole"]),
        f"{share:.1%}",
    ]


def compare_precisions(bench: Bench) -> None:
    """Bare step times in every precision and layout that the device has."""
    works = [
        work("unet", (16, 32, 64, 128, 256), 128, 8),
        work("resunet", (16, 32, 64, 128, 256), 128, 8),
        work("nnunet_plain", (16, 32, 64, 128, 256), 128, 8),
    ]
    if bench.quick:
        works = [work("unet", (4, 8), 32, 2)]
    print_table(
        "One bare step by precision and memory layout (samples/s)",
        ["network", "setting", "samples/s", "times the first", "our default"],
        (row for one in works for row in _precision_rows(one, bench)),
    )


def _precision_rows(one: Work, bench: Bench) -> Iterator[list[object]]:
    cuda = bench.device.type == "cuda"
    settings = product(("fp32", "bf16", "fp16")[: 2 + cuda], LAYOUTS, (False, True)[: 1 + cuda])
    sides, defaults = {}, []
    for precision, layout, compiled in settings:
        spec = endless(phantom(one.size), one.model, batch_size=one.batch, precision=precision)
        step = bare_step(spec, bench.device, LAYOUTS[layout], compiled=compiled)
        name = f"{precision}, {layout}" + ", compiled" * compiled
        sides[name] = repeat(step, bench.steps)
        if LAYOUTS[layout] == memory_format(fresh_model(spec), bench.device):
            defaults += [name] * (precision == TrainConfig().precision and not compiled)
    seconds = in_turn(sides, bench)
    first = next(iter(seconds.values()))
    for name, times in seconds.items():
        samples = rate(bench.steps * one.batch, times)
        yield [one, name, samples, ratio(first, times), "yes" if name in defaults else ""]


MEASUREMENTS: dict[str, Callable[[Bench], None]] = {
    "bare": compare_bare,
    "monai": compare_monai,
    "nnunet": compare_nnunet,
    "precision": compare_precisions,
    "validation": training_trials.measure_validation,
    "start": training_trials.measure_start,
    "share": training_trials.measure_sharing,
}

if __name__ == "__main__":
    main()
