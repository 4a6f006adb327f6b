"""What is written down of the machine that drives a run."""

import json
import platform
import socket
from types import SimpleNamespace

from bench.results.schema import make_table
from bench.run import surroundings
from bench.run.surroundings import _cpu, _gpus, env_row


class NvmlError(Exception):
    """As of pynvml."""


def nvml(names, driver="580.65.06"):
    def init():
        if names is None:
            raise NvmlError

    return SimpleNamespace(
        NVMLError=NvmlError,
        nvmlInit=init,
        nvmlDeviceGetCount=lambda: len(names),
        nvmlDeviceGetHandleByIndex=lambda number: number,
        nvmlDeviceGetName=lambda handle: names[handle],
        nvmlSystemGetDriverVersion=lambda: driver,
    )


def test_a_row_fits_its_table_and_holds_no_secrets(monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "hunter2")
    row = env_row("r1")
    assert len(make_table("env", [row])) == 1
    assert (row["run"], row["python"], row["node"]) == ("r1", platform.python_version(), socket.gethostname())
    assert json.loads(row["packages_json"])["pyarrow"]
    assert row["memory_gb"] > 0.1
    assert "hunter2" not in json.dumps(row)


def test_gpus_are_named_where_a_driver_tells():
    found = _gpus(nvml(["H100", b"H200"], b"580.1"))
    assert found == {"driver": "580.1", "gpus_json": '["H100", "H200"]'}
    assert (_gpus(nvml([]))["gpus_json"], _gpus(nvml(None)), _gpus(None)) == ("[]", {}, {})


def test_the_processor_is_named_where_the_system_tells(tmp_path):
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Some CPU 9000\nmodel name\t: Other\n")
    assert _cpu(tmp_path / "cpuinfo") == "Some CPU 9000"
    assert _cpu(tmp_path / "none") == (platform.processor() or None)


def test_cuda_is_that_of_torch(tmp_path, monkeypatch):
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(surroundings, "find_spec", lambda name: spec)
    assert surroundings._cuda() is None
    for text, expected in (
        ("cuda: Optional[str] = '13.0'\n", "13.0"),
        ("cuda: Optional[str] = None\n", None),
    ):
        (tmp_path / "version.py").write_text(f"__version__ = '2.13.0'\n{text}")
        assert surroundings._cuda() == expected
