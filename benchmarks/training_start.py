"""The fresh process of training.py's `start`: runs a trial up to the end of its first step, prints seconds as JSON.

    python benchmarks/training_start.py DEVICE CORES SINCE

SINCE is the time (as of `time.time`) at which the process was asked for. Imports are part of what is measured, so
they stand where they are needed.
"""

import json
import sys
import tempfile
import time
from pathlib import Path


def main() -> None:
    """Imports torch, then everything else, opens the data and trains a step."""
    device_name, cores, since = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    begun = time.time()
    import torch

    torch_s = time.time() - begun
    begun = time.time()
    import torch._dynamo  # the first optimiser of a process would

    dynamo_s = time.time() - begun
    from training_trials import SMALL, first_step, trial_spec, work

    from medseg.data import cache_dir
    from medseg.training.trial import open_data

    imported = time.time()
    torch.set_num_threads(cores)
    spec = trial_spec(work(*SMALL), epochs=1, steps=10)
    data = open_data(spec.task, None, cache_dir())
    opened = time.time()
    with tempfile.TemporaryDirectory() as folder:
        done = first_step(spec, data, Path(folder), torch.device(device_name))
    seconds = {
        "torch": torch_s,
        "beyond": done - since - torch_s,
        "dynamo": dynamo_s,
        "imports": imported - since - torch_s - dynamo_s,
        "data": opened - imported,
        "step": done - opened,
    }
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
