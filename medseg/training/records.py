"""What a trial says of itself when it ends: its result, its cost, and what it ran on."""

import socket
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version

import torch

from medseg.components import CONSTRUCTION_ERRORS
from medseg.config import Component
from medseg.errors import MedsegError
from medseg.models import count_parameters
from medseg.training.dry_run import dry_run
from medseg.training.loop import Loop
from medseg.training.outcome import Row

PACKAGES = ("torch", "accelerate", "numpy", "scipy", "nibabel", "medseg-bench")


def summarise(loop: Loop, value: float, started: datetime, case_s: float | None = None) -> Row:
    """Returns a trial's row, without what its caller knows.

    Args:
        loop: The training, however far it came.
        value: Score of the trial; NaN if it has none.
        started: When this process began it.
        case_s: Seconds to predict one case, if any was.
    """
    progress, config, device = loop.progress, loop.config, loop.accelerator.device
    model = loop.accelerator.unwrap_model(loop.model)
    looped_s = progress.train_s + progress.validation_s
    shares = [progress.data_s, progress.train_s - progress.data_s, progress.validation_s]
    data, compute, validation = (part / looped_s if looped_s else None for part in shares)
    return {
        "value": value,
        "metric": loop.spec.task.selection_metric,
        "parameters": count_parameters(model),
        "gmacs": _gmacs(loop),
        "epochs": config.epochs,
        "best_epoch": progress.best_epoch if progress.best_epoch > 0 else None,
        "steps": progress.step,
        "batch_size": config.batch_size,
        "micro_batch": progress.micro_batch,
        "processes": loop.processes.count,
        "precision": config.precision,
        "compiled": loop.compiled,
        "memory_format": str(loop.memory_format).removeprefix("torch."),
        "wall_s": progress.elapsed_s,
        "train_s": progress.train_s,
        "device_s": progress.elapsed_s * loop.processes.count,
        "samples_per_s": progress.step * config.batch_size / progress.train_s if progress.train_s else None,
        "data_share": data,
        "compute_share": compute,
        "validation_share": validation,
        "peak_memory_mb": progress.peak_memory_mb or None,
        "energy_j": progress.energy_j,
        "case_s": case_s,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "node": socket.gethostname(),
        "notes": "; ".join(progress.notes),
        "versions": _versions(),
        "started_at": started,
        "finished_at": datetime.now(UTC),
    }


def _gmacs(loop: Loop) -> float | None:
    spec = loop.spec
    return _count_gmacs(
        spec.model.model_dump_json(), spec.task.channels, spec.task.out_channels, spec.network_size
    )


@lru_cache(maxsize=16)
def _count_gmacs(model: str, in_channels: int, out_channels: int, size: tuple[int, int]) -> float | None:
    try:
        run = dry_run(Component.model_validate_json(model), in_channels, out_channels, size)
    except (MedsegError, *CONSTRUCTION_ERRORS):
        return None
    return run.macs / 1e9


def _versions() -> dict[str, str]:
    found: dict[str, str] = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
