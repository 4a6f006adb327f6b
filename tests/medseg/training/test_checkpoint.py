import pytest
import torch

from medseg.training import checkpoint
from medseg.training.checkpoint import load_state, load_weights, save_state, save_weights


def test_state_round_trip(tmp_path):
    path = tmp_path / "new" / "state.pt"
    save_state({"a": torch.arange(3), "progress": {"step": 4, "losses": [0.5]}}, path)
    state = load_state(path)
    assert state is not None
    assert torch.equal(state["a"], torch.arange(3))
    assert state["progress"] == {"step": 4, "losses": [0.5]}


def test_no_checkpoint_is_none(tmp_path):
    assert load_state(tmp_path / "none.pt") is None


def test_weights_round_trip_keeps_values_of_shared_and_strided_tensors(tmp_path):
    base = torch.randn(4, 3, 3, 3).to(memory_format=torch.channels_last)
    save_weights({"a": base, "b": base}, tmp_path / "w.safetensors")
    loaded = load_weights(tmp_path / "w.safetensors")
    assert torch.equal(loaded["a"], base)
    assert torch.equal(loaded["b"], base)


def test_a_crash_while_writing_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "state.pt"
    save_state({"step": 1}, path)

    def broken(state, file):
        with open(file, "wb") as out:
            out.write(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(checkpoint.torch, "save", broken)
    with pytest.raises(OSError, match="No space"):
        save_state({"step": 2}, path)
    assert load_state(path) == {"step": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["state.pt"]
