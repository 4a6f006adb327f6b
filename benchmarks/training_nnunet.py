"""Our training against nnU-Net's own trainer: its plan, network, patch, batch, recipe and augmentation for both.

The generated hearts are written in nnU-Net's raw format, planned and preprocessed by nnU-Net as a 2D configuration,
and trained on by its `nnUNetTrainer` with its workers, and by our loop with `nnunet_plain` of the plan's network and
the recipe `nnunet`. A round is the training half of an epoch of nnU-Net; validation is on neither side. On a GPU both
run in fp16, nnU-Net compiled, ours as `compile: auto` says. Cores are the same for both, helpers included.

What differs in work: nnU-Net also computes the logits of a fourth resolution, whose weight is 0; its patches are cut
from preprocessed slices by a random centre, ours are slices already brought to the patch's size.

nnunetv2 pins many packages, so it gets an environment of its own that borrows what is here, torch above all:

    python -m venv ENV
    echo "import site; site.addsitedir('SITE_PACKAGES')" > ENV/lib/python3.X/site-packages/borrow.pth
    ENV/bin/pip install nnunetv2 torch==VERSION
    ENV/bin/python benchmarks/training.py --only nnunet

SITE_PACKAGES is the folder of that name in which torch is installed, VERSION the version of torch there: pip would
fetch another one else.

Imported by training.py. Measured with nnunetv2 2.8.1.
"""

import contextlib
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from training_setup import (
    Bench,
    Side,
    endless,
    in_turn,
    make_loop,
    phantom,
    print_table,
    rate,
    ratio,
    whole_epochs,
)

from medseg.config import Component
from medseg.data import Case, cache_dir
from medseg.models import count_parameters
from medseg.tasks import TaskSpec
from medseg.training.loop import Loop
from medseg.training.trial import open_data

NUMBER, DATASET = 900, "Dataset900_Phantom"
WORKERS_VARIABLE = "nnUNet_n_proc_DA"
DEEPEST = 512
SETTLE_S = 2.0
EPOCH_STEPS = 250


@dataclass(frozen=True)
class Plan:
    """What is changed in nnU-Net's plan, for both sides.

    Args:
        width: Channels of the first stage, doubled per stage up to 512; none: the plan's.
        batch: Slices per step; none: the plan's.
        workers: Numbers of augmenting processes to try; none: nnU-Net's own choice.
    """

    width: int | None = None
    batch: int | None = None
    workers: Sequence[int] | None = None


def compare_nnunet(bench: Bench, plan: Plan = Plan()) -> None:
    """Prints seconds of an epoch of 250 steps on both sides."""
    if find_spec("nnunetv2") is None:
        print("\nnnunet left out: nnunetv2 is not installed; see the head of training_nnunet.py")
        return
    if bench.quick:
        plan = Plan(width=4, batch=2, workers=plan.workers)
    with tempfile.TemporaryDirectory() as folder, _environment(Path(folder)):
        raw = Path(folder) / "raw" / DATASET
        write_raw(raw)
        configuration = _planned(Path(folder) / "preprocessed" / DATASET, plan)
        _compare(bench, plan, configuration, raw)


@contextlib.contextmanager
def _environment(folder: Path) -> Iterator[None]:
    """Tells nnU-Net its folders, and puts the environment back in the end."""
    before = dict(os.environ)
    os.environ |= {f"nnUNet_{part}": str(folder / part) for part in ("raw", "preprocessed", "results")}
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def write_raw(folder: Path) -> None:
    """Writes the generated hearts in nnU-Net's raw format."""
    task = phantom(64)
    cases = open_data(task, None, cache_dir()).dataset.cases
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True)
    for case in cases:
        _write_case(case, folder)
    description = {
        "channel_names": {"0": "MRI"},
        "labels": {"background": 0} | task.labels,
        "numTraining": len(cases),
        "file_ending": ".nii.gz",
        "overwrite_image_reader_writer": "NibabelIO",
    }
    (folder / "dataset.json").write_text(json.dumps(description), encoding="utf-8")


def _write_case(case: Case, folder: Path) -> None:
    """Copies image and label, with an affine that says the spacing; ACDC's does not, and nnU-Net reads it."""
    import nibabel

    for source, target in (
        (case.images[0], folder / "imagesTr" / f"{case.id}_0000.nii.gz"),
        (case.label, folder / "labelsTr" / f"{case.id}.nii.gz"),
    ):
        volume = nibabel.load(source)
        affine = np.diag([*map(float, volume.header.get_zooms()), 1.0])
        nibabel.save(nibabel.Nifti1Image(np.asarray(volume.dataobj), affine), target)


def _planned(folder: Path, plan: Plan) -> dict[str, Any]:
    """Lets nnU-Net plan and preprocess; returns its 2D configuration with the changes that we make."""
    module = "nnunetv2.experiment_planning.plan_and_preprocess_entrypoints"
    options = ["-d", str(NUMBER), "-c", "2d", "-np", "1", "-npfp", "1"]
    done = subprocess.run([sys.executable, "-m", module, *options], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"nnU-Net could not plan:\n{done.stderr}")
    path = folder / "nnUNetPlans.json"
    plans = json.loads(path.read_text(encoding="utf-8"))
    configuration: dict[str, Any] = plans["configurations"]["2d"]
    network = configuration["architecture"]["arch_kwargs"]
    if plan.width is not None:
        stages = range(network["n_stages"])
        network["features_per_stage"] = [min(plan.width * 2**stage, DEEPEST) for stage in stages]
    configuration["batch_size"] = plan.batch or configuration["batch_size"]
    path.write_text(json.dumps(plans), encoding="utf-8")
    return configuration


def _compare(bench: Bench, plan: Plan, configuration: dict[str, Any], raw: Path) -> None:
    """Trains in turn. nnU-Net starts first: its workers are forked before our threads are there."""
    workers = plan.workers or (min(12, bench.cores),)
    trainers = {count: _trainer(bench, count) for count in workers}
    loop = _our_loop(bench, configuration, raw)
    sides: dict[str, Side] = {"ours": whole_epochs(loop)}
    sides |= {f"nnU-Net, {count} workers": _their_round(t, bench) for count, t in trainers.items()}
    seconds = in_turn(sides, bench, SETTLE_S)
    network, batch = configuration["architecture"]["arch_kwargs"], configuration["batch_size"]
    theirs = next(iter(trainers.values())).network
    print_table(
        f"Our training against nnU-Net {version('nnunetv2')}: {loop.config.precision}, "
        f"widths {network['features_per_stage']}, {configuration['patch_size']}, batch {batch}; "
        f"parameters {count_parameters(loop.model):,} and {count_parameters(theirs):,}",
        ["side", "samples/s", f"s per {EPOCH_STEPS} steps", "times as long as ours"],
        (
            [name, rate(bench.steps * batch, times), _epoch_s(times, bench), ratio(times, seconds["ours"])]
            for name, times in seconds.items()
        ),
    )
    for trainer in trainers.values():
        _finish(trainer)


def _epoch_s(seconds: list[float], bench: Bench) -> str:
    return f"{statistics.median(seconds) / bench.steps * EPOCH_STEPS:.1f}"


def _our_loop(bench: Bench, configuration: dict[str, Any], raw: Path) -> Loop:
    """Returns our loop with the plan's network, patch, spacing and batch."""
    task = TaskSpec(
        name="nnunet-phantom",
        dataset="nnunet-phantom",
        format="nnunet",
        labels=phantom(64).labels,
        image_size=tuple(configuration["patch_size"]),
        spacing_mm=tuple(configuration["spacing"]),
        flips=("horizontal", "vertical"),
    )
    network = configuration["architecture"]["arch_kwargs"]
    options = {
        "features": network["features_per_stage"],
        "convs": _only(network["n_conv_per_stage"]),
        "decoder_convs": _only(network["n_conv_per_stage_decoder"]),
    }
    spec = endless(
        task,
        Component(name="nnunet_plain", options=options),
        recipe="nnunet",
        batch_size=configuration["batch_size"],
        steps_per_epoch=bench.steps,
        precision="fp16" if bench.device.type == "cuda" else "fp32",
    )
    return make_loop(spec, open_data(task, raw, raw.parent / "cache").prepared, bench.device)


def _only(counts: list[int]) -> int:
    """Returns the number that all stages have; our network has one for all."""
    (count,) = set(counts)
    return count


def _trainer(bench: Bench, workers: int) -> Any:
    """Returns nnU-Net's trainer, ready to take steps."""
    from nnunetv2.run.run_training import get_trainer_from_args

    os.environ[WORKERS_VARIABLE] = str(workers)
    with contextlib.redirect_stdout(io.StringIO()):
        trainer = get_trainer_from_args(str(NUMBER), "2d", 0, device=bench.device)
        trainer.on_train_start()
    return trainer


def _their_round(trainer: Any, bench: Bench) -> Side:
    """Returns the training half of an epoch, of as many steps as a round has, as in the trainer's `run_training`."""

    def run() -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            trainer.on_train_epoch_start()
            trainer.on_train_epoch_end(
                [trainer.train_step(next(trainer.dataloader_train)) for _ in range(bench.steps)]
            )
        trainer.current_epoch += 1

    return run


def _finish(trainer: Any) -> None:
    """Stops the workers, as the trainer's `on_train_end` does."""
    for loader in (trainer.dataloader_train, trainer.dataloader_val):
        if hasattr(loader, "_finish"):
            with contextlib.redirect_stdout(io.StringIO()):
                loader._finish()
