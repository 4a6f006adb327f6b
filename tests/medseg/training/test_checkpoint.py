import errno
import fcntl
import json
import logging
import math
import os
import resource
import subprocess
from collections import OrderedDict

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from medseg.errors import DataError
from medseg.training import checkpoint
from medseg.training.checkpoint import load_state, load_weights, save_state, save_weights
from medseg.training.monitor import peak_bytes, reset_peak
from medseg.training.outcome import StorageError, classify

DTYPES = [
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.complex64),
    *(torch.float8_e4m3fn, torch.float8_e5m2, torch.bool),
    *(torch.int64, torch.int32, torch.int16, torch.int8),
    *(torch.uint64, torch.uint32, torch.uint16, torch.uint8),
]


def identical(left, right):
    """Equal to the last bit, and of the same types."""
    if isinstance(left, torch.Tensor):
        return (
            isinstance(right, torch.Tensor)
            and left.dtype == right.dtype
            and left.shape == right.shape
            and left.contiguous().reshape(-1).view(torch.uint8).tolist()
            == right.contiguous().reshape(-1).view(torch.uint8).tolist()
        )
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return identical(list(left), list(right)) and identical(list(left.values()), list(right.values()))
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(identical, left, right))
    return left == right or (left != left and right != right)


def round_trip(state, path):
    save_state(state, path)
    return load_state(path)


def files(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.pt"


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of 1 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small disk cannot be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_plain_values_come_back_as_they_were(path):
    state = {
        "whole": [0, -1, 2**70, True, False, None],
        "real": (0.1, -0.0, 1e-320, math.inf, -math.inf, math.nan, 3.0),
        "text": ["", "ä\n\"'\\", "\ud800", "tensor"],
        "nested": {0: {"0": [], 1: (), "": {}}, -3: [({"list": 1},)], "tensor": "0", "dict": []},
    }
    loaded = round_trip(state, path)
    assert identical(loaded, state)
    assert str(loaded["real"][1]) == "-0.0"


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_tensors_of_each_type_come_back_bitwise(path, dtype):
    raw = torch.randint(0, 256, (6 * 7 * 8,), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    many = raw.view(dtype) if dtype != torch.bool else raw > 127
    matrix = many[: len(many) // 6 * 6].reshape(6, -1)
    state = {
        "all": many,
        "one": many[3],
        "none": many[:0].reshape(0, 4),
        "turned": matrix.T,
        "odd": many[1::3],
    }
    assert identical(round_trip(state, path), state)


def test_layouts_come_back_by_value(path):
    images = torch.randn(2, 3, 4, 5)
    state = {
        "channels last": images.to(memory_format=torch.channels_last),
        "expanded": torch.arange(3.0).expand(4, 3),
        "parameter": nn.Parameter(images[0]),
        "conjugate": torch.randn(3, dtype=torch.complex64).conj(),
        "negated": torch.randn(3, dtype=torch.complex64).conj().imag,
        # One after the other, so that a wrong order would leave wide elements at odd places.
        "odd": [torch.ones(3, dtype=torch.bool), torch.ones(1, dtype=torch.float64), torch.ones(1).half()],
    }
    loaded = round_trip(state, path)
    assert loaded is not None
    assert torch.equal(loaded["conjugate"], state["conjugate"])
    del state["conjugate"], loaded["conjugate"]
    assert identical(loaded, state)
    assert not loaded["parameter"].requires_grad


def test_an_optimizers_state_goes_on_where_it_was(path):
    def step(model, optimizer):
        optimizer.zero_grad()
        model(torch.ones(2, 3, 4, 4)).square().sum().backward()
        optimizer.step()

    def fresh():
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).to(memory_format=torch.channels_last)
        return model, torch.optim.Adam(model.parameters(), lr=0.1)

    model, optimizer = fresh()
    step(model, optimizer)
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    loaded = round_trip(state, path)
    assert identical(loaded, {"model": dict(state["model"]), "optimizer": state["optimizer"]})
    other, other_optimizer = fresh()
    other.load_state_dict(loaded["model"])
    other_optimizer.load_state_dict(loaded["optimizer"])
    step(model, optimizer)
    step(other, other_optimizer)
    assert identical(dict(other.state_dict()), dict(model.state_dict()))


def test_shared_tensors_are_written_once_and_shared_again(path):
    weight = torch.randn(1000)
    state = {"a": weight, "b": [weight.detach()], "front": weight[:10], "bits": weight.view(torch.int32)}
    loaded = round_trip(state, path)
    assert identical(loaded, state)
    assert loaded["a"].data_ptr() == loaded["b"][0].data_ptr()
    assert path.stat().st_size < 3 * weight.nbytes


def test_loaded_tensors_are_ones_own(path):
    save_state({"a": torch.zeros(4)}, path)
    load_state(path)["a"].add_(1)
    assert torch.equal(load_state(path)["a"], torch.zeros(4))


def test_a_state_is_one_safetensors_file(path):
    save_state({"a": torch.arange(3), "b": [torch.ones(2, dtype=torch.bool)], "step": 4}, path)
    with safe_open(path, framework="pt") as file:
        assert sorted(file.get_tensor(name).tolist() for name in file.keys()) == [[0, 1, 2], [True, True]]  # noqa: SIM118
    assert files(path.parent) == ["state.pt"]


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"a": [0, {1: object()}]}, r"plain values; state\['a'\]\[1\]\[1\] is of type object"),
        ({"a": {1.5: 0}}, r"str or int; state\['a'\] has 1.5"),
        ({"a": torch.eye(2).to_sparse()}, r"state\['a'\] is of type torch.float32 torch.sparse_coo tensor"),
        ({"a": torch.zeros(1, dtype=torch.complex128)}, "complex128"),
    ],
)
def test_what_cannot_be_kept_is_named(path, state, message):
    with pytest.raises(TypeError, match=message):
        save_state(state, path)
    assert files(path.parent) == []


def test_no_checkpoint_is_none(tmp_path):
    assert load_state(tmp_path / "none.pt") is None
    assert load_state(tmp_path / "no folder" / "none.pt") is None


def test_folders_are_made_and_a_file_is_as_readable_as_others(tmp_path):
    save_state({"step": 1}, tmp_path / "new" / "folder" / "state.pt")
    (tmp_path / "other").touch()
    assert (tmp_path / "new/folder/state.pt").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_saving_does_not_take_the_memory_of_the_state_again(path):
    # Strided, so that each needs a copy; large, so that the system gets each copy's memory back at once.
    parts = [torch.ones(64, 64, 36, 64).transpose(1, 3) for _ in range(4)]
    reset_peak(parts[0].device)
    before = peak_bytes(parts[0].device)
    save_state({"model": parts}, path)
    assert peak_bytes(parts[0].device) - before < 2.2 * parts[0].nbytes


def test_a_full_disk_is_one_clear_line_and_keeps_the_old_file(small_disk):
    path = small_disk / "state.pt"
    with pytest.raises(
        StorageError, match=r"^cannot write \S+/state.pt: No space .*; there was none before$"
    ):
        save_state({"a": torch.zeros(400_000)}, path)
    assert files(small_disk) == []
    save_state({"step": 1}, path)
    with pytest.raises(
        StorageError, match=r": No space left on device; what it held before is kept$"
    ) as caught:
        save_state({"a": torch.zeros(400_000)}, path)
    assert classify(caught.value)[0] == "infra_lost"
    with pytest.raises(StorageError, match="No space left on device"):
        save_weights({"a": torch.zeros(400_000)}, small_disk / "weights.safetensors")
    assert load_state(path) == {"step": 1}
    assert files(small_disk) == ["state.pt"]


def test_a_read_only_disk_is_one_clear_line(small_disk):
    path = small_disk / "state.pt"
    save_state({"step": 1}, path)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(StorageError, match=r"Read-only file system; what it held before is kept$"):
        save_state({"step": 2}, path)
    with pytest.raises(StorageError, match=r"cannot write .*: Read-only file system"):
        save_state({"step": 2}, small_disk / "folder" / "state.pt")
    assert load_state(path) == {"step": 1}


def test_a_limit_on_the_size_of_files_is_one_clear_line(path):
    save_state({"step": 1}, path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        with pytest.raises(StorageError, match=r"File too large; what it held before is kept$"):
            save_state({"a": torch.zeros(400_000)}, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert load_state(path) == {"step": 1}
    assert files(path.parent) == ["state.pt"]


@pytest.mark.parametrize("function", ["fsync", "replace"])
@pytest.mark.parametrize(
    ("raised", "seen"),
    [
        (OSError(errno.ESTALE, "Stale file handle"), StorageError),
        (TimeoutError(errno.ETIMEDOUT, "Connection timed out"), StorageError),
        (TimeoutError("the trial's time is up"), TimeoutError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
    ids=["stale", "network", "time limit", "interrupt"],
)
def test_a_failed_write_leaves_the_old_file_and_no_litter(path, monkeypatch, function, raised, seen):
    save_state({"step": 1}, path)

    def fail(*_):
        raise raised

    with monkeypatch.context() as patch:
        patch.setattr(os, function, fail)
        with pytest.raises(seen):
            save_state({"step": 2}, path)
    assert load_state(path) == {"step": 1}
    assert files(path.parent) == ["state.pt"]


def test_a_file_system_that_cannot_flush_folders_will_do(path, monkeypatch):
    real = os.fsync

    def fsync(descriptor):
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.EINVAL, "Invalid argument")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    save_state({"step": 1}, path)
    assert load_state(path) == {"step": 1}


@pytest.mark.parametrize("use", [lambda path: save_state({"step": 1}, path), load_state])
def test_drafts_of_killed_processes_are_removed_and_those_of_others_are_not(path, use):
    names = [".state.pt-dead", ".state.pt-alive", ".state.pt", ".other.pt-dead"]
    for name in names:
        (path.parent / name).write_bytes(b"half")
    with open(path.parent / ".state.pt-alive", "rb+") as writing:
        fcntl.flock(writing, fcntl.LOCK_EX)
        use(path)
    assert set(names) - set(files(path.parent)) == {".state.pt-dead"}


def test_a_draft_is_not_removed_while_it_is_written(path, monkeypatch):
    seen = []

    def write(*_):
        checkpoint._remove_orphans(path)
        seen.extend(files(path.parent))

    monkeypatch.setattr(checkpoint, "_write", write)
    save_state({"step": 1}, path)
    assert len(seen) == 1


def with_header(header, body=b""):
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def state_of(structure, **tensors):
    return with_header({"__metadata__": {"medseg.state": json.dumps(structure)}, **tensors}, b"1234")


def entry(dtype="U8", shape=(4,), data_offsets=(0, 4)):
    return {"dtype": dtype, "shape": shape, "data_offsets": data_offsets}


DAMAGED = {
    "empty": b"",
    "short": b"\x10\0\0",
    "zeros": bytes(1000),
    "noise": bytes(range(1, 256)) * 9,
    "long header": (2**62).to_bytes(8, "little") + b"{}",
    "no JSON": (4).to_bytes(8, "little") + b"abcd",
    "no text": (4).to_bytes(8, "little") + b"\xff\xfe\xfd\xfc",
    "deep": (200_000).to_bytes(8, "little") + b"[" * 200_000,
    "a list": with_header([1]),
    "no state": with_header({"a": entry()}, b"1234"),
    "other metadata": with_header({"__metadata__": {"format": "pt"}}),
    "no metadata": with_header({"__metadata__": None}),
    "no entry": state_of({"dict": []}, a=3),
    "unknown type": state_of({"tensor": "a"}, a=entry("F3")),
    "beyond the end": state_of({"tensor": "a"}, a=entry(data_offsets=(1, 5))),
    "before the start": state_of({"tensor": "a"}, a=entry(data_offsets=(-4, 0))),
    "too small": state_of({"tensor": "a"}, a=entry(shape=(2,))),
    "negative": state_of({"tensor": "a"}, a=entry(shape=(-2, -2))),
    "no numbers": state_of({"tensor": "a"}, a=entry(shape=("a",))),
    "missing": state_of({"tensor": "b"}, a=entry()),
    "unknown kind": state_of({"set": [1]}),
    "two kinds": state_of({"list": [], "tuple": []}),
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_checkpoint_is_set_aside_with_a_warning(path, caplog, content):
    path.write_bytes(content)
    (path.parent / "state.pt.damaged").write_bytes(b"an earlier one")
    with caplog.at_level(logging.WARNING):
        assert load_state(path) is None
    (record,) = caplog.records
    assert record.name == "medseg.training.checkpoint"
    assert "training starts anew, see state.pt.damaged" in record.getMessage()
    assert str(path) in record.getMessage()
    assert (path.parent / "state.pt.damaged").read_bytes() == content
    assert files(path.parent) == ["state.pt.damaged"]


def test_a_state_cut_anywhere_is_damaged(path):
    save_state({"a": torch.arange(3.0), "b": [1]}, path)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert load_state(path) is None


def test_a_file_of_torch_is_set_aside_unread(path):
    torch.save({"model": OrderedDict(a=torch.zeros(2))}, path)
    assert load_state(path) is None
    assert files(path.parent) == ["state.pt.damaged"]


def test_a_disk_that_cannot_be_read_is_not_taken_for_a_damaged_file(path):
    # Its first bytes are not mapped: reading is an I/O error.
    path.symlink_to("/proc/self/mem")
    with pytest.raises(StorageError, match=r"^cannot read \S+/state.pt: Input/output error$"):
        load_state(path)
    with pytest.raises(StorageError, match="Input/output error"):
        load_weights(path)
    assert files(path.parent) == ["state.pt"]


def test_weights_are_a_safetensors_file_with_what_it_says_of_itself(tmp_path):
    path = tmp_path / "new" / "w.safetensors"
    base = torch.randn(4, 3, 3, 3).to(memory_format=torch.channels_last)
    save_weights({"a": base, "b": base, "n": torch.tensor(3)}, path, metadata={"trial": "ab12", "epoch": "7"})
    for loaded in (load_weights(path), load_file(path)):
        assert identical(loaded["a"], base)
        assert identical(loaded["b"], base)
        assert identical(loaded["n"], torch.tensor(3))
    with safe_open(path, framework="pt") as file:
        assert file.metadata() == {"format": "pt", "trial": "ab12", "epoch": "7"}


def test_weights_of_others_are_read(tmp_path):
    weights = {str(dtype): torch.ones(3, 2).to(dtype) for dtype in DTYPES if dtype != torch.complex64}
    save_file(weights, tmp_path / "w.safetensors")
    loaded = load_weights(tmp_path / "w.safetensors")
    assert all(identical(loaded[name], weights[name]) for name in weights)


def test_weights_that_are_not_there_or_not_whole_are_one_clear_line(tmp_path):
    path = tmp_path / "w.safetensors"
    with pytest.raises(StorageError, match=r"^cannot read \S+: No such file or directory$"):
        load_weights(path)
    path.write_bytes(b"PK")
    with pytest.raises(DataError, match=r"w\.safetensors is no whole safetensors file: it has no header"):
        load_weights(path)
    assert files(tmp_path) == ["w.safetensors"]
