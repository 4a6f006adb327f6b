"""Our whole training step against the bare model step on random tensors.

Both sides run in this process, in turn, on the same network, batch and image size. The whole step draws the batch,
augments, trains, clips and keeps the loss; the bare one trains on a tensor that is already there.

    python benchmarks/step.py [--task phantom-cardiac] [--size 64] [--batch 8] [--steps 20] [--rounds 5]
"""

import argparse
import statistics
import time

import torch

from medseg.config import Component
from medseg.data import cache_dir
from medseg.losses import build_loss
from medseg.models import build_model
from medseg.tasks import TASKS
from medseg.training.config import TrainConfig, TrialSpec
from medseg.training.loop import Loop, make_accelerator, make_optimizer
from medseg.training.trial import open_data


def main() -> None:
    """Prints medians of samples per second and their ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--task", default="phantom-cardiac")
    parser.add_argument("--models", nargs="+", default=["unet", "resunet"])
    parser.add_argument("--features", nargs="+", type=int, default=[8, 16, 32, 64])
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cuda", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for model in arguments.models:
        compare(model, arguments)


def compare(name: str, arguments: argparse.Namespace) -> None:
    """Times both sides in turn and prints one line."""
    task = TASKS.load(arguments.task).model_copy(update={"image_size": (arguments.size, arguments.size)})
    data = open_data(task, None, cache_dir())
    spec = TrialSpec(
        task=task,
        model=Component(name=name, options={"features": arguments.features}),
        loss=Component(name="ce_dice"),
        train=TrainConfig(batch_size=arguments.batch, epochs=10**6, steps_per_epoch=arguments.steps),
        phase="tune",
    )
    accelerator = make_accelerator("fp32", use_cpu=not arguments.cuda)
    loop = Loop(
        spec,
        build_model(spec.model, task.channels, task.out_channels, task.image_size),
        build_loss(spec.loss, task.out_channels),
        data.prepared,
        range(len(data.prepared.images)),
        lambda: 0.0,
        accelerator,
    )
    bare = bare_step(spec, loop)
    whole_s, bare_s = [], []
    for _ in range(arguments.rounds + 1):
        whole_s.append(timed(lambda: next(loop.epochs(lambda: False)), accelerator.device))
        bare_s.append(timed(lambda: [bare() for _ in range(arguments.steps)], accelerator.device))
    samples = arguments.steps * arguments.batch
    whole, plain = (samples / statistics.median(times[1:]) for times in (whole_s, bare_s))
    share = loop.progress.data_s / loop.progress.train_s
    print(
        f"{name} {arguments.features} {arguments.size}x{arguments.size} batch {arguments.batch} "
        f"{accelerator.device.type}: whole {whole:.1f}/s, bare {plain:.1f}/s, ratio {whole / plain:.3f}, "
        f"data share {share:.1%}"
    )


def bare_step(spec: TrialSpec, loop: Loop):
    """Returns a function that trains one step on a random tensor."""
    task, device = spec.task, loop.accelerator.device
    model = build_model(spec.model, task.channels, task.out_channels, task.image_size).to(device)
    model = model.to(memory_format=loop.memory_format)
    optimizer = make_optimizer(model, spec.train)
    images = torch.randn(spec.train.batch_size, task.channels, *task.image_size, device=device)
    images = images.contiguous(memory_format=loop.memory_format)
    labels = torch.randint(0, task.classes, (spec.train.batch_size, *task.image_size), device=device)

    def step() -> None:
        loop.loss(model(images), labels).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def timed(work, device: torch.device) -> float:
    """Returns the seconds that work takes, the device's queue included."""
    started = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
