import subprocess
import sys
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from pydantic import ValidationError

from medseg.data.augment.config import AugmentConfig
from medseg.data.augment.draw import draw

MANY = 20_000
BOTH = ("horizontal", "vertical")


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def nnunet():
    """Many draws of two channels."""
    return draw(AugmentConfig.nnunet(), BOTH, MANY, 2, rng())


# Kind, its identity, share of channels that get it, smallest and largest value.
NNUNET = [
    ("angle_rad", 0, 0.2, -np.pi, np.pi),
    ("step", 1, 0.2, 0.7, 1.4),
    ("noise", 0, 0.1, -0.1, 0.1),
    ("blur_px", 0, 0.2 * 0.5, 0.5, 1.0),
    ("brightness", 1, 0.15, 0.75, 1.25),
    ("contrast", 1, 0.15, 0.75, 1.25),
    ("low_resolution", 1, 0.25 * 0.5, 0.5, 1.0),
    ("gamma_inverted", 1, 0.1, 0.7, 1.5),
    ("gamma", 1, 0.3, 0.7, 1.5),
]


@pytest.mark.parametrize(("kind", "identity", "p", "low", "high"), NNUNET)
def test_nnunets_set_has_its_probabilities_and_ranges(nnunet, kind, identity, p, low, high):
    values = getattr(nnunet, kind)
    active = values[values != identity]
    assert active.size / values.size == pytest.approx(p, abs=0.012)
    edge = 0.02 * (high - low)
    assert low - 1e-6 <= active.min() <= low + edge
    assert high - edge <= active.max() <= high + 1e-6


def test_half_of_the_exponents_lie_below_one(nnunet):
    active = nnunet.gamma[nnunet.gamma != 1]
    assert (active < 1).mean() == pytest.approx(0.5, abs=0.02)


def test_nnunets_set_does_not_bend_and_mirrors_half_along_each_axis(nnunet):
    assert nnunet.bend.size == 0
    assert nnunet.mirror.mean(0) == pytest.approx([0.5, 0.5], abs=0.02)


def test_channels_share_the_chance_but_not_the_values(nnunet):
    active = nnunet.gamma != 1
    assert (active[:, 0] == active[:, 1]).all()
    both = active.all(1)
    assert (nnunet.gamma[both, 0] != nnunet.gamma[both, 1]).all()
    blurred = (nnunet.blur_px != 0).any(2)
    assert (blurred[:, 0] != blurred[:, 1]).any()


@pytest.mark.parametrize(
    ("flips", "flip", "expected"),
    [
        (("horizontal",), True, [0.5, 0]),
        (("vertical",), True, [0, 0.5]),
        ((), True, [0, 0]),
        (BOTH, False, [0, 0]),
    ],
)
def test_only_the_tasks_axes_are_mirrored(flips, flip, expected):
    share = draw(AugmentConfig(flip=flip), flips, MANY, 1, rng()).mirror.mean(0)
    assert share == pytest.approx(expected, abs=0.02)
    assert (share[np.array(expected) == 0] == 0).all()


def test_an_unknown_axis_is_refused():
    with pytest.raises(ValueError, match=r"'horizontal' and/or 'vertical', got \['depth'\]"):
        draw(AugmentConfig(), ("depth",), 2, 1, rng())


def test_elastic_shifts_stay_within_their_share_of_the_spacing():
    bend = draw(AugmentConfig(elastic=0.3, elastic_cells=4, elastic_p=0.5), (), 200, 1, rng()).bend
    assert bend.shape == (200, 2, 7, 7)
    assert 0.29 < np.abs(bend).max() <= 0.3
    assert bend.any((1, 2, 3)).mean() == pytest.approx(0.5, abs=0.1)


def test_one_strength_leaves_the_other_kinds_as_they_were():
    first = draw(AugmentConfig(), BOTH, 32, 2, rng())
    second = draw(AugmentConfig(rotation_deg=90, rotation_p=1, elastic_p=1), BOTH, 32, 2, rng())
    for kind in set(vars(first)) - {"angle_rad", "bend"}:
        np.testing.assert_array_equal(getattr(first, kind), getattr(second, kind))
    assert (first.angle_rad != second.angle_rad).any()


@pytest.mark.parametrize("rows", [slice(2, 5), [2, 3, 4], np.array([2, 3, 4])])
def test_taking_rows_takes_them_from_every_kind(rows):
    draws = draw(AugmentConfig(elastic_p=1), BOTH, 6, 3, rng())
    part = draws.take(rows)
    assert (len(part), part.channels) == (3, 3)
    for kind, values in vars(draws).items():
        np.testing.assert_array_equal(getattr(part, kind), values[2:5])


def test_draws_are_frozen_and_small():
    draws = draw(AugmentConfig(elastic_p=1), BOTH, 16, 1, rng())
    with pytest.raises(FrozenInstanceError):
        draws.gamma = draws.step
    assert sum(values.nbytes for values in vars(draws).values()) < 16_000
    assert {values.dtype for kind, values in vars(draws).items() if kind != "mirror"} == {np.dtype("float32")}


BAD = [("rotation_deg", 181), ("rotation_p", 1.1), ("scale_low", 0), ("scale_high", 0.9), ("elastic", 0.49)]
BAD += [("elastic_cells", 0), ("noise", -1), ("blur_px", 9), ("brightness", 1), ("contrast", -0.1)]
BAD += [("low_resolution", 0), ("gamma_low", 0), ("gamma_high", 0.5), ("gamma_p", -0.1)]


@pytest.mark.parametrize(("key", "value"), BAD)
def test_a_strength_out_of_range_is_refused(key, value):
    with pytest.raises(ValidationError, match=key):
        AugmentConfig(**{key: value})


def test_every_field_says_what_it_is():
    assert all(field.description for field in AugmentConfig.model_fields.values())


def test_settings_and_draws_import_no_torch():
    code = "import sys, medseg.data.augment.draw, medseg.training.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
