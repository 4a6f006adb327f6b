"""`python -m medseg.training`: one trial, without Ray."""

import sys

from medseg.training.command import run

sys.exit(run())
