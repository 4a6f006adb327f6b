"""Forward and backward of every loss, against its peers: python benchmarks/losses.py [--channels-last].

One process, all in turn, one thread; the least and the median CPU time of several rounds. smp is measured where it
can be imported beside this torch.
"""

import argparse
import statistics
import time
from importlib import import_module

import monai.losses as monai
import torch

from medseg.config import Component
from medseg.losses import LOSSES, build_loss

SHAPE = (16, 4, 256, 224)
ROUNDS = 15


def rings():
    """A target of three nested discs, (B, H, W)."""
    batch, _, height, width = SHAPE
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    radius = ((rows - height // 2) ** 2 + (columns - width // 2) ** 2).float().sqrt()
    labels = sum((radius < r).long() for r in (50, 40, 30))
    return labels.expand(batch, height, width).contiguous()


def peers():
    options = {"to_onehot_y": True, "softmax": True}
    batchwise = options | {"include_background": False, "batch": True}
    found = {
        "ce_dice": {"MONAI DiceCELoss": monai.DiceCELoss(**batchwise)},
        "dice": {"MONAI DiceLoss": monai.DiceLoss(**batchwise)},
        "focal": {"MONAI FocalLoss": monai.FocalLoss(to_onehot_y=True, use_softmax=True)},
        "dice_focal": {"MONAI DiceFocalLoss": monai.DiceFocalLoss(**batchwise)},
        "tversky": {"MONAI TverskyLoss": monai.TverskyLoss(**batchwise)},
        "generalised_dice": {"MONAI GeneralizedDiceLoss": monai.GeneralizedDiceLoss(**options)},
        "boundary": {"MONAI BoundaryLoss": monai.BoundaryLoss(**options, include_background=False)},
        "lovasz": {},
    }
    try:
        try:
            import_module("torchvision")
        except RuntimeError:  # a wheel whose compiled operators do not load beside this torch
            library = torch.library.Library("torchvision", "DEF")
            for name in ("nms", "qnms"):
                library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        smp = import_module("segmentation_models_pytorch.losses")
    except ImportError:
        return found
    found["dice"]["smp DiceLoss"] = smp.DiceLoss("multiclass")
    found["focal"]["smp FocalLoss"] = smp.FocalLoss("multiclass")
    found["tversky"]["smp TverskyLoss"] = smp.TverskyLoss("multiclass")
    found["lovasz"]["smp LovaszLoss"] = smp.LovaszLoss("multiclass")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--channels-last", action="store_true")
    layout = torch.channels_last if parser.parse_args().channels_last else torch.contiguous_format
    torch.set_num_threads(1)
    logits = 3 * torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))
    logits, target = logits.contiguous(memory_format=layout), rings()
    others = peers()
    entries = {}
    for name in LOSSES.names():
        entries[name] = (build_loss(Component(name=name), SHAPE[1]), target)
        for title, function in others.get(name, {}).items():
            entries[f"  {title}"] = (function, target if title.startswith("smp") else target.unsqueeze(1))
    times = {title: [] for title in entries}
    for _ in range(ROUNDS):
        for title, (function, labels) in entries.items():
            leaf = logits.detach().requires_grad_()
            started = time.thread_time()
            function(leaf, labels).backward()
            times[title].append(1e3 * (time.thread_time() - started))
    for title, values in times.items():
        print(f"{title:30s} least {min(values):6.1f} ms, median {statistics.median(values):6.1f} ms")


if __name__ == "__main__":
    main()
