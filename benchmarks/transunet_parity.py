"""Our TransUNet against its authors': the same weights, moved in order, must give the same numbers.

CHECKOUT is a copy of https://github.com/Beckschen/TransUNet; nothing of it is changed. It needs scipy; for
ml_collections, of which it uses one class, there is a stand-in here.

    python benchmarks/transunet_parity.py CHECKOUT [--size 224 256] [--threads 1]

Exits with 1 if a count or a shape differs, or outputs differ by more than 1e-5 of their size in float32, or
outputs or gradients by more than 1e-10 in float64.
"""

import argparse
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from medseg.models import count_parameters
from medseg.models.transunet import TransUNet, TransUNetConfig

CLASSES, TENSORS, TOLERANCE, EXACT = 4, 400, 1e-5, 1e-10
PARTS = {
    "ResNet": ("resnet", "transformer.embeddings.hybrid_model"),
    "patch embedding": ("patch_embedding", "transformer.embeddings.patch_embeddings"),
    "position embeddings": ("position_embedding", "transformer.embeddings.position_embeddings"),
    "encoder": ("encoder", "transformer.encoder"),
    "decoder": ("decoder", "decoder"),
    "head": ("head", "segmentation_head"),
}


def main() -> None:
    """Compares at each size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--size", nargs="+", type=int, default=[224, 256])
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    networks = authors_code(arguments.checkout)
    agree = [compare(networks, size) for size in arguments.size]
    sys.exit(0 if all(agree) else 1)


def authors_code(checkout: Path) -> Any:
    """Imports the authors' module from a checkout."""
    if not (checkout / "networks" / "vit_seg_modeling.py").is_file():
        sys.exit(f"{checkout} must hold networks/vit_seg_modeling.py")
    try:
        import_module("ml_collections")
    except ImportError:
        sys.modules["ml_collections"] = stand_in = types.ModuleType("ml_collections")
        stand_in.ConfigDict = _ConfigDict
    sys.path.insert(0, str(checkout))
    return import_module("networks.vit_seg_modeling")


class _ConfigDict(dict[str, Any]):
    __getattr__ = dict.__getitem__
    __setattr__ = dict.__setitem__


def compare(networks: Any, size: int) -> bool:
    """Prints counts and differences at one image size; returns whether the networks agree."""
    torch.manual_seed(size)
    config = networks.configs.get_r50_b16_config()
    config.n_classes, config.patches["grid"] = CLASSES, (size // 16, size // 16)
    theirs = networks.VisionTransformer(config, img_size=size, num_classes=CLASSES)
    ours = TransUNet(1, CLASSES, TransUNetConfig(), (size, size))
    print(f"{size} x {size}" + "ours".rjust(23) + "authors'".rjust(15))
    counts_agree = print_counts(ours, theirs)
    moved = transplant(theirs, ours)
    print(f"  {moved} of {TENSORS} tensors moved in order, shapes equal")
    images = torch.randn(2, 1, size, size)
    gap, rounding = output_gaps(ours, theirs, images)
    print(
        f"  logits, float32, evaluation: {gap:.1e} of the largest logit; rounding alone makes {rounding:.1e}"
    )
    gaps = gradient_gaps(ours, theirs, images)
    for part, relative in gaps.items():
        print(f"  {part}, float64, training without dropout: {relative:.1e} (relative, Euclidean)")
    return counts_agree and moved == TENSORS and gap <= TOLERANCE and max(gaps.values()) <= EXACT


def print_counts(ours: nn.Module, theirs: nn.Module) -> bool:
    """Prints parameters per part, side by side."""
    rows = [(name, *map(_count, (ours, theirs), keys)) for name, keys in PARTS.items()]
    rows.append(("all", count_parameters(ours), count_parameters(theirs)))
    for name, mine, other in rows:
        print(f"  {name:20} {mine:13,} {other:14,}{'' if mine == other else '  differs'}")
    return all(mine == other for _, mine, other in rows)


def _count(model: nn.Module, prefix: str) -> int:
    return sum(p.numel() for name, p in model.named_parameters() if f"{name}.".startswith(f"{prefix}."))


def transplant(source: nn.Module, target: nn.Module) -> int:
    """Moves weights and running statistics in order; returns their number.

    Tensors that start constant get noise first, in both: norms at 1 and 0 or positions at 0 would hide a tensor
    that is moved to a wrong place.
    """
    given, taken = _tensors(source), _tensors(target)
    with torch.no_grad():
        for (name, tensor), (into, place) in zip(given.items(), taken.items(), strict=True):
            if tensor.shape != place.shape:
                sys.exit(f"{name} {tuple(tensor.shape)} does not fit {into} {tuple(place.shape)}")
            if tensor.min() == tensor.max():
                variance = name.endswith("running_var")
                tensor.add_(0.1 * (torch.rand_like(tensor) if variance else torch.randn_like(tensor)))
            place.copy_(tensor)
    return len(given)


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    return {
        key: value
        for key, value in model.state_dict().items()
        if "num_batches_tracked" not in key and key != "position_grid"
    }


def output_gaps(ours: nn.Module, theirs: nn.Module, images: Tensor) -> tuple[float, float]:
    """Returns the largest difference of logits between the two, and of theirs from themselves in double precision.

    Both are parts of the largest logit. `theirs` is left in double precision.
    """
    with torch.no_grad():
        result, expected = ours.eval()(images), theirs.eval()(images)
        with _double():
            exact = theirs.double()(images.double())
    scale = exact.abs().max()
    return float((result - expected).abs().max() / scale), float((expected - exact).abs().max() / scale)


def gradient_gaps(ours: nn.Module, theirs: nn.Module, images: Tensor) -> dict[str, float]:
    """Returns differences of logits and of gradients per part; in double precision, that rounding hides nothing."""
    results = []
    with _double():
        weights = torch.randn(images.shape[0], CLASSES, *images.shape[2:])
        for model in (ours, theirs):
            model.double().train()
            for part in model.modules():
                if isinstance(part, nn.Dropout):
                    part.p = 0.0
            logits = model(images.double())
            (logits * weights).sum().backward()
            results.append(logits.detach())
    gaps = {"logits": _relative(*results)}
    for name, keys in PARTS.items():
        gaps[f"gradient of {name}"] = _relative(*map(_gradients, (ours, theirs), keys))
    return gaps


@contextmanager
def _double() -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def _gradients(model: nn.Module, prefix: str) -> Tensor:
    return torch.cat(
        [p.grad.flatten() for name, p in model.named_parameters() if f"{name}.".startswith(f"{prefix}.")]
    )


def _relative(value: Tensor, reference: Tensor) -> float:
    return float((value - reference).norm() / reference.norm())


if __name__ == "__main__":
    main()
