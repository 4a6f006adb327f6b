"""channels_last against the default memory layout: forward and backward of our networks, in turn, one CPU thread.

python benchmarks/layout.py
"""

import statistics
import time

import torch
from torch.nn import functional as F

from medseg.config import Component
from medseg.models import build_model
from medseg.training.sampling import derive_seed

FORMATS = (torch.contiguous_format, torch.channels_last)
FEATURES, SIZE, BATCH, STEPS, ROUNDS = [8, 16, 32, 64], 64, 8, 20, 2


def main() -> None:
    """Prints the ratio of medians per network, and what seeding torch in every step costs."""
    torch.set_num_threads(1)
    for name in ("unet", "resunet"):
        times: dict[torch.memory_format, list[float]] = {kind: [] for kind in FORMATS}
        for kind in FORMATS * ROUNDS:
            model = build_model(Component(name=name, options={"features": FEATURES}), 1, 4, (SIZE, SIZE))
            model = model.to(memory_format=kind)
            images, labels = torch.randn(BATCH, 1, SIZE, SIZE), torch.randint(0, 4, (BATCH, SIZE, SIZE))
            for _ in range(STEPS):
                started = time.perf_counter()
                F.cross_entropy(model(images), labels).backward()
                model.zero_grad()
                times[kind].append(time.perf_counter() - started)
        plain, last = (statistics.median(times[kind]) for kind in FORMATS)
        print(
            f"{name} {FEATURES} {SIZE}x{SIZE} batch {BATCH}: channels_last is {plain / last:.2f} times as fast"
        )
    started = time.perf_counter()
    for step in range(2000):
        torch.manual_seed(derive_seed(1, 3, step))
    print(f"seeding torch for a step: {(time.perf_counter() - started) / 2000 * 1e6:.0f} microseconds")


if __name__ == "__main__":
    main()
