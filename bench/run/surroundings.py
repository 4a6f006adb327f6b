"""What a run runs on: hardware, drivers and packages of the machine that drives it. Imports no torch."""

import importlib
import json
import os
import platform
import re
import socket
import warnings
from contextlib import suppress
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path
from typing import Any

CPUINFO, TORCH_VERSION = Path("/proc/cpuinfo"), "version.py"


def env_row(run: str) -> dict[str, Any]:
    """Returns a run's row of the table `env`. No variables of the shell, no paths, no users."""
    packages = _packages()
    return {
        "run": run,
        "system": platform.platform(),
        "python": platform.python_version(),
        "cores": _cores(),
        "gpus_json": "[]",
        "packages_json": json.dumps(packages, sort_keys=True),
        "node": socket.gethostname(),
        "cpu": _cpu(),
        "memory_gb": _memory_gb(),
        "torch": packages.get("torch"),
        "cuda": _cuda(),
        "driver": None,
        **_gpus(_installed_nvml()),
    }


def _packages() -> dict[str, str]:
    # A name that is on the path twice is imported from where it comes first.
    found: dict[str, str] = {}
    for package in distributions():
        if package.metadata["Name"]:
            found.setdefault(package.metadata["Name"].lower(), package.version)
    return found


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _cpu(info: Path = CPUINFO) -> str | None:
    with suppress(OSError):
        named = re.search(r"^model name\s*:\s*(.+)$", info.read_text(encoding="utf-8"), re.MULTILINE)
        if named:
            return named[1].strip()
    return platform.processor() or None


def _memory_gb() -> float | None:
    with suppress(ValueError, OSError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return None


def _cuda() -> str | None:
    """Returns the CUDA version that torch was built with, without importing it."""
    spec = find_spec("torch")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        with suppress(OSError):
            text = (Path(folder) / TORCH_VERSION).read_text(encoding="utf-8")
            built = re.search(r"^cuda\b[^=]*=\s*['\"]([\d.]+)['\"]", text, re.MULTILINE)
            return built[1] if built else None
    return None


def _gpus(nvml: Any) -> dict[str, Any]:
    """Returns the driver and the names of all GPUs of this machine, where a driver tells."""
    if nvml is None:
        return {}
    try:
        nvml.nvmlInit()
        handles = [nvml.nvmlDeviceGetHandleByIndex(number) for number in range(nvml.nvmlDeviceGetCount())]
        names = [_text(nvml.nvmlDeviceGetName(handle)) for handle in handles]
        return {"driver": _text(nvml.nvmlSystemGetDriverVersion()), "gpus_json": json.dumps(names)}
    except (nvml.NVMLError, OSError):
        return {}


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _installed_nvml() -> Any:
    # One of the packages that bring it warns that the other one should be used.
    with suppress(ImportError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module("pynvml")
    return None
