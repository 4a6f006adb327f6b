import importlib
import os
import sys
import warnings
from types import SimpleNamespace

import pytest
import torch

from medseg.training import monitor
from medseg.training.monitor import Meter, add_up, peak_bytes

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)


class FakeNvml:
    class NVMLError(Exception):
        pass

    def __init__(self, *energies_mj, fails=None):
        self.energies_mj, self.fails, self.asked = list(energies_mj), fails, None

    def nvmlInit(self):
        if self.fails == "init":
            raise self.NVMLError("Driver Not Loaded")

    def nvmlDeviceGetHandleByPciBusId(self, place):
        self.asked = place
        return place

    def nvmlDeviceGetHandleByUUID(self, uuid):
        self.asked = uuid
        return uuid

    def nvmlDeviceGetTotalEnergyConsumption(self, handle):
        assert handle == self.asked
        if not self.energies_mj:
            raise self.NVMLError("Not Supported")
        return self.energies_mj.pop(0)


@pytest.fixture
def gpu(monkeypatch):
    """A machine whose torch sees one GPU; returns its properties."""
    card = SimpleNamespace(pci_domain_id=0, pci_bus_id=0xAF, pci_device_id=0, uuid="4a-b")
    memory = SimpleNamespace(peak=7_000_000, now=2_000_000)
    monkeypatch.setattr("torch.cuda.init", lambda: None)
    monkeypatch.setattr("torch.cuda.get_device_properties", lambda device: card)
    monkeypatch.setattr(
        "torch.cuda.reset_peak_memory_stats", lambda device: setattr(memory, "peak", memory.now)
    )
    monkeypatch.setattr("torch.cuda.max_memory_allocated", lambda device: memory.peak)
    return SimpleNamespace(card=card, memory=memory)


@pytest.fixture
def clock(monkeypatch):
    now = SimpleNamespace(s=0.0)
    monkeypatch.setattr(monitor, "time", SimpleNamespace(monotonic=lambda: now.s))
    return now


class FakePowercap:
    def __init__(self, root):
        self.root = root

    def zone(self, zone, name, energy_uj, range_uj=1_000_000_000, **more):
        folder = self.root / zone
        folder.mkdir(parents=True, exist_ok=True)
        files = {"name": name, "energy_uj": energy_uj, "max_energy_range_uj": range_uj, **more}
        for file, content in files.items():
            (folder / file).write_text(f"{content}\n")
        return folder


@pytest.fixture
def powercap(tmp_path):
    return FakePowercap(tmp_path / "powercap")


def energy_j(meter):
    return meter.readings()["energy_j"]


def test_a_gpus_energy_is_the_cards_and_its_memory_torchs(gpu):
    nvml = FakeNvml(1_000_000, 1_250_500, 1_300_000)
    meter = Meter(GPU, nvml=nvml)
    assert nvml.asked == "00000000:AF:00.0"
    gpu.memory.peak = 5_500_000
    assert meter.readings() == {"peak_memory_mb": 5.5, "energy_j": 250.5}
    assert energy_j(meter) == 300


def test_a_gpus_peak_starts_with_the_meter(gpu):
    assert Meter(GPU, nvml=FakeNvml()).readings()["peak_memory_mb"] == 2


def test_a_card_without_an_address_is_found_by_its_uuid(gpu):
    del gpu.card.pci_bus_id
    nvml = FakeNvml(0, 1000)
    assert energy_j(Meter(GPU, nvml=nvml)) == 1
    assert nvml.asked == "GPU-4a-b"


@pytest.mark.parametrize(
    "nvml",
    [
        FakeNvml(1, 2, fails="init"),
        FakeNvml(),
        FakeNvml(1000),
        FakeNvml(1000, 10),
        SimpleNamespace(NVMLError=ValueError),
    ],
    ids=["no driver", "an old card", "lost on the way", "driver loaded anew", "an old module"],
)
def test_a_gpu_that_does_not_tell_has_no_energy(gpu, nvml):
    assert energy_j(Meter(GPU, nvml=nvml)) is None


def test_without_the_module_a_gpu_has_no_energy(gpu, monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert energy_j(Meter(GPU)) is None


def test_the_installed_module_is_used_and_may_warn(gpu, monkeypatch, tmp_path):
    (tmp_path / "pynvml.py").write_text(
        "import warnings\n"
        "warnings.warn('deprecated', FutureWarning)\n"
        "class NVMLError(Exception): pass\n"
        "def nvmlInit(): pass\n"
        "def nvmlDeviceGetHandleByPciBusId(place): return place\n"
        "counts = iter((0, 4000))\n"
        "def nvmlDeviceGetTotalEnergyConsumption(handle): return next(counts)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "pynvml", raising=False)
    importlib.invalidate_caches()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert energy_j(Meter(GPU)) == 4
    finally:
        sys.modules.pop("pynvml", None)


def test_a_processors_energy_is_that_of_its_packages(powercap):
    powercap.zone("intel-rapl:0", "package-0", 5_000_000)
    powercap.zone("intel-rapl:0:0", "core", 0)
    powercap.zone("intel-rapl:1", "package-1", 0)
    powercap.zone("intel-rapl:2", "psys", 0)
    powercap.zone("intel-rapl-mmio:0", "package-0", 0)
    meter = Meter(CPU, powercap=powercap.root)
    powercap.zone("intel-rapl:0", "package-0", 7_500_000)
    powercap.zone("intel-rapl:0:0", "core", 2_000_000)
    powercap.zone("intel-rapl:1", "package-1", 1_000_000)
    powercap.zone("intel-rapl:2", "psys", 9_000_000)
    powercap.zone("intel-rapl-mmio:0", "package-0", 2_500_000)
    assert energy_j(meter) == 3.5


def test_a_counter_may_start_again_between_readings(powercap, clock):
    powercap.zone("intel-rapl:0", "package-0", 900_000_000)
    meter = Meter(CPU, powercap=powercap.root)
    for energy_uj, expected in ((100_000_000, 200), (950_000_000, 1050), (50_000_000, 1150)):
        clock.s += 1.5
        powercap.zone("intel-rapl:0", "package-0", energy_uj)
        assert energy_j(meter) == expected


@pytest.mark.parametrize(
    ("limit", "after_s", "known"),
    [
        ({"constraint_0_power_limit_uw": 100_000_000}, 9, True),
        ({"constraint_0_power_limit_uw": 100_000_000}, 11, False),
        ({"constraint_0_power_limit_uw": 4_095_000_000}, 1.9, True),
        ({"constraint_0_power_limit_uw": 0}, 1.9, True),
        ({}, 1.9, True),
        ({}, 2.1, False),
    ],
)
def test_energy_is_unknown_once_a_counter_may_have_gone_round_unseen(powercap, clock, limit, after_s, known):
    """1000 J go round in 10 s at 100 W, and in 2 s at the 500 W of one that tells no limit."""
    powercap.zone("intel-rapl:0", "package-0", 0, **limit)
    meter = Meter(CPU, powercap=powercap.root)
    clock.s = after_s
    assert (energy_j(meter) is not None) == known
    clock.s += 0.1
    assert (energy_j(meter) is not None) == known


def test_a_processor_that_does_not_tell_has_no_energy(powercap):
    assert energy_j(Meter(CPU, powercap=powercap.root)) is None
    powercap.zone("intel-rapl:0", "package-0", 0)
    powercap.zone("intel-rapl:1", "package-1", "")
    assert energy_j(Meter(CPU, powercap=powercap.root)) is None


def test_packages_that_go_silent_have_no_energy(powercap):
    folder = powercap.zone("intel-rapl:0", "package-0", 0)
    powercap.zone("intel-rapl:1", "package-1", 0)
    meter = Meter(CPU, powercap=powercap.root)
    assert energy_j(meter) == 0
    (folder / "energy_uj").unlink()
    assert energy_j(meter) is None


def test_another_device_has_no_energy(powercap):
    powercap.zone("intel-rapl:0", "package-0", 0)
    assert energy_j(Meter(torch.device("mps"), powercap=powercap.root)) is None


def test_the_peak_of_a_process_is_reset_and_read(tmp_path):
    (tmp_path / "clear_refs").touch()
    (tmp_path / "status").write_text(
        "Name:\tpython\nVmPeak:\t  9000 kB\nVmHWM:\t    2000 kB\nVmRSS:\t 1 kB\n"
    )
    readings = Meter(CPU, powercap=tmp_path, proc=tmp_path).readings()
    assert (tmp_path / "clear_refs").read_text() == "5"
    assert readings["peak_memory_mb"] == 2.048


@pytest.mark.parametrize("status", [None, "Name:\tpython\n"])
def test_without_proc_the_peak_is_that_of_the_whole_process(tmp_path, status):
    if status:
        (tmp_path / "status").write_text(status)
    real = peak_bytes(CPU)
    assert peak_bytes(CPU, tmp_path / "none" if status is None else tmp_path) >= 0.9 * real > 10_000_000


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="needs Linux")
def test_what_was_taken_and_given_back_is_in_the_peak_and_not_in_the_next_meters():
    meter = Meter(CPU)
    before = meter.readings()["peak_memory_mb"]
    taken = torch.ones(50_000_000)
    assert meter.readings()["peak_memory_mb"] - before == pytest.approx(200, abs=20)
    del taken
    assert meter.readings()["peak_memory_mb"] - before == pytest.approx(200, abs=20)
    assert Meter(CPU).readings()["peak_memory_mb"] - before < 50


def test_parts_of_a_trial_add_up():
    part = {"peak_memory_mb": 3.0, "energy_j": 10.0}
    later = {"peak_memory_mb": 2.0, "energy_j": 4.0}
    unknown = {"peak_memory_mb": None, "energy_j": None}
    assert add_up({}, part) == part
    assert add_up(part, later) == {"peak_memory_mb": 3.0, "energy_j": 14.0}
    assert add_up(part, unknown) == {"peak_memory_mb": 3.0, "energy_j": None}
    assert add_up(unknown, unknown) == unknown
