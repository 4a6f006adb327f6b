"""What is said of small slips: one line, and no key that may not be written."""

from pathlib import Path

import pytest

from bench.errors import SuiteError
from bench.suite.load import parse_suite

SUITE = "suite: small\ntasks: [phantom-lung]\nmodels: [unet]\nlosses: [ce]\n"
SPACE = "space: {train.learning_rate: {low: 1.0e-4, high: 1.0e-1, log: true}}"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (f"tune: {{budget: {{device_hours: .nan}}, {SPACE}}}", "5:31: a number must be finite, got .nan"),
        ("resources: {memory_gb: .inf}", "5:24: a number must be finite, got .inf"),
        (
            f"tune: {{sampler: null, budget: {{trials: 3}}, {SPACE}}}",
            "5:17: tune.sampler: must be a name or a mapping, got null; leave the key out for the default",
        ),
        (
            f"tune: {{pruner: null, budget: {{trials: 3}}, {SPACE}}}",
            "5:16: tune.pruner: must be a name or a mapping, got null; leave the key out for the default",
        ),
    ],
)
def test_a_slip_is_one_line(line: str, message: str) -> None:
    with pytest.raises(SuiteError) as caught:
        parse_suite(SUITE + line + "\n", Path("a.yaml"))
    assert str(caught.value) == f"a.yaml:{message}"


def test_the_scale_is_not_offered() -> None:
    with pytest.raises(SuiteError, match=r"unknown key 'scal' \(choices: suite, .*, claims\)$"):
        parse_suite(f"{SUITE}scal: smoke\n", Path("a.yaml"))
