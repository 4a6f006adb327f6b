"""What a trial costs beside time: memory and energy."""

import importlib
import re
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import torch

Readings = dict[str, float | None]

PROC, POWERCAP = Path("/proc/self"), Path("/sys/class/powercap")
# More than any package draws; for those that do not tell their limit.
MOST_W = 500.0


class Meter:
    """Measures from its creation on. It starts no thread, does not wait for the GPU, and never raises or warns.

    Read it once per epoch: a processor's counter starts again at 0 every now and then (each 262 kJ on many, 20
    minutes at 200 W). Where it may have done so more than once between two readings, the energy is unknown.

    Args:
        device: What the trial computes on.
        nvml: The module `pynvml`; by default what is installed under that name.
        powercap: Where Linux shows the energy counters of processors.
        proc: Where Linux shows the memory of this process.
    """

    def __init__(self, device: torch.device, nvml: Any = None, powercap: Path = POWERCAP, proc: Path = PROC):
        self._device, self._proc = device, proc
        self._counters: Sequence[_Counter] = ()
        if device.type == "cuda":
            self._counters = _gpu(device, nvml or _installed_nvml())
        elif device.type == "cpu":
            self._counters = _packages(powercap)
        reset_peak(device, proc)

    def readings(self) -> Readings:
        """Returns what was taken since the meter was made.

        - ``peak_memory_mb`` (1 MB is 10^6 bytes): on CUDA the most that torch had allocated on the device, else the
          most resident memory of this process, which counts from the start of the process where the system does
          not let it be reset.
        - ``energy_j``: of the whole GPU, without its host; on a CPU of all processor packages, without the RAM.
          Whoever else computes on the device is in it. None where no driver tells; many tell processors' to root
          only.
        """
        spent = [counter.joules() for counter in self._counters]
        known = [joules for joules in spent if joules is not None]
        return {
            "peak_memory_mb": peak_bytes(self._device, self._proc) / 1e6,
            "energy_j": sum(known) if known and len(known) == len(spent) else None,
        }


def add_up(earlier: Mapping[str, float | None], later: Mapping[str, float | None]) -> Readings:
    """Returns the readings of a trial that was interrupted: the higher peak, and the energy of both parts.

    Args:
        earlier: Readings until the interruption; empty if there was none.
        later: Readings since. A part whose energy is unknown makes that of the whole unknown.
    """
    if not earlier:
        return dict(later)
    peaks = [part["peak_memory_mb"] for part in (earlier, later)]
    energies = [part["energy_j"] for part in (earlier, later)]
    return {
        "peak_memory_mb": max((peak for peak in peaks if peak is not None), default=None),
        "energy_j": None if None in energies else sum(energy for energy in energies if energy is not None),
    }


def reset_peak(device: torch.device, proc: Path = PROC) -> None:
    """Makes what is taken now the peak, where that is possible: on CUDA, and for a process on Linux."""
    if device.type == "cuda":
        torch.cuda.init()  # type: ignore[no-untyped-call]
        torch.cuda.reset_peak_memory_stats(device)
        return
    with suppress(OSError):
        (proc / "clear_refs").write_text("5")


def peak_bytes(device: torch.device, proc: Path = PROC) -> int:
    """Returns the most that torch had allocated on a GPU, or else the most resident memory of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    with suppress(OSError):
        found = re.search(r"VmHWM:\s*(\d+) kB", (proc / "status").read_text())
        if found:
            return int(found[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


class _Counter(Protocol):
    def joules(self) -> float | None:
        """Returns what was used since the counter was made; None if unknown."""


class _Gpu:
    def __init__(self, nvml: Any, handle: Any):
        self._nvml, self._handle = nvml, handle
        self._before_mj: int = nvml.nvmlDeviceGetTotalEnergyConsumption(handle)

    def joules(self) -> float | None:
        try:
            used_mj: int = self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle) - self._before_mj
        except self._nvml.NVMLError:
            return None
        # It counts from when the driver was loaded, which may have happened again.
        return used_mj / 1000 if used_mj >= 0 else None


class _Package:
    def __init__(self, folder: Path):
        self._folder, self._used_uj = folder, 0
        self._range_uj, self._last_uj = self._number("max_energy_range_uj"), self._number("energy_uj")
        self._read_at, self._certain = time.monotonic(), True
        limit_w = MOST_W
        with suppress(OSError, ValueError):
            limit_w = min(MOST_W, self._number("constraint_0_power_limit_uw") / 1e6)
        self._shortest_turn_s = self._range_uj / 1e6 / (limit_w or MOST_W)

    def joules(self) -> float | None:
        now_s = time.monotonic()
        try:
            now_uj = self._number("energy_uj")
        except (OSError, ValueError):
            return None
        # Twice around needs more than one shortest turn.
        self._certain &= now_s - self._read_at < self._shortest_turn_s
        self._used_uj += now_uj - self._last_uj + (self._range_uj if now_uj < self._last_uj else 0)
        self._last_uj, self._read_at = now_uj, now_s
        return self._used_uj / 1e6 if self._certain else None

    def _number(self, name: str) -> int:
        return int((self._folder / name).read_text())


def _gpu(device: torch.device, nvml: Any) -> list[_Gpu]:
    if nvml is None:
        return []
    try:
        nvml.nvmlInit()
        found: Any = torch.cuda.get_device_properties(device)
        # The driver numbers cards otherwise than torch, which sees those of CUDA_VISIBLE_DEVICES only.
        if hasattr(found, "pci_bus_id"):
            place = f"{found.pci_domain_id:08X}:{found.pci_bus_id:02X}:{found.pci_device_id:02X}.0"
            return [_Gpu(nvml, nvml.nvmlDeviceGetHandleByPciBusId(place))]
        return [_Gpu(nvml, nvml.nvmlDeviceGetHandleByUUID(f"GPU-{found.uuid}"))]
    except (nvml.NVMLError, AttributeError, RuntimeError, OSError):
        return []


def _installed_nvml() -> Any:
    # One of the packages that bring it warns that the other one should be used.
    with suppress(ImportError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module("pynvml")
    return None


def _packages(powercap: Path) -> list[_Package]:
    """Returns the packages of this machine; not their parts (a second colon), nor the zone of the whole board."""
    found = []
    for folder in sorted(powercap.glob("intel-rapl:*")):
        try:
            if folder.name.count(":") == 1 and (folder / "name").read_text().startswith("package"):
                found.append(_Package(folder))
        except (OSError, ValueError):
            # Part of the sum would be taken for the whole.
            return []
    return found
