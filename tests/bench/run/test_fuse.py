import errno
import os

import pytest

from bench.errors import EngineError
from bench.results.place import open_place
from bench.run.fuse import PROBE_BYTES, TRIALS, Fuse, probe
from bench.run.retries import MAX_ATTEMPTS


def lose(fuse: Fuse, trials: int, attempts: int = MAX_ATTEMPTS) -> None:
    for trial in range(trials):
        for attempt in range(attempts):
            fuse.lost(f"t{trial}", f"the worker died (attempt {attempt + 1})")


def test_several_trials_that_die_at_each_attempt_end_the_run():
    with pytest.raises(
        EngineError, match=r"the last 20 attempts .* the last one: the worker died \(attempt 4\)$"
    ):
        lose(Fuse(), TRIALS)


def test_one_trial_that_always_dies_is_its_own_fault():
    lose(Fuse(), 1, attempts=100)


def test_anything_that_goes_well_in_between_starts_anew():
    fuse = Fuse()
    for _ in range(5):
        lose(fuse, TRIALS - 1)
        fuse.fine()


def test_a_machine_that_dies_with_all_its_trials_does_not_end_a_run_on_several():
    fuse = Fuse()
    fuse.slots = 32
    lose(fuse, 16, attempts=1)
    lose(fuse, 16, attempts=2)
    with pytest.raises(EngineError):
        lose(fuse, 16, attempts=1)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.ESTALE, errno.EDQUOT])
def test_after_a_loss_of_room_it_looks_whether_results_can_be_written(number):
    def full() -> None:
        raise OSError(number, os.strerror(number), "results")

    detail = f"OSError: [Errno {number}] {os.strerror(number)}: 'x.safetensors'"
    with pytest.raises(OSError, match=os.strerror(number)):
        Fuse(full).lost("t", detail)
    Fuse(full).lost("t", "the worker died (attempt 1)")


def test_a_full_disk_of_another_machine_is_a_loss_like_any_other(tmp_path):
    Fuse(probe(open_place(tmp_path))).lost("t", os.strerror(errno.ENOSPC))
    assert list(tmp_path.iterdir()) == []


def test_the_probe_writes_as_much_as_a_checkpoint():
    written = {}

    class Place:
        def write(self, name, content):
            written[name] = len(content)

        def delete(self, name):
            assert name in written

    probe(Place())()
    assert list(written.values()) == [PROBE_BYTES]
