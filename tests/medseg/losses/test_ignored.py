"""Pixels with the ignored label: as if they were not there, for every loss."""

import pytest
import torch

from medseg.losses import LOSSES

IGNORED = 255
BY_IMAGE = [
    ("dice", {"batch": False}),
    ("dice", {"squared": True, "include_background": True}),
    ("generalised_dice", {"include_background": False}),
    ("generalised_dice", {"batch": True}),
    ("lovasz", {"per_image": True}),
    ("topk_ce", {"fraction": 0.3}),
    ("focal", {"alpha": 0.25}),
]
CASES = [
    (name, channels, options)
    for name, options in [*((name, {}) for name in LOSSES.names()), *BY_IMAGE]
    for channels in (1, 3)
]


@pytest.fixture(params=CASES, ids=str)
def case(request):
    return request.param


@pytest.fixture(params=[False, True], ids=["plain", "weighted"])
def weights(request, case):
    return {"weights": [1.0, 3.0, 0.5][: max(case[1], 2)]} if request.param else {}


@pytest.fixture
def pair(case, weights, loss):
    """The loss that ignores a label, and the one that knows of none."""
    name, channels, options = case
    return (
        loss(name, channels, ignore_label=IGNORED, **options, **weights),
        loss(name, channels, **options, **weights),
    )


def assert_same(result, expected):
    torch.testing.assert_close(result, expected, rtol=1e-9, atol=1e-12)


def test_its_logits_change_nothing(case, pair, batch):
    logits, target = batch(case[1], size=(3, 6, 5), scale=2.0)
    ignored = torch.rand(target.shape, generator=torch.Generator().manual_seed(1)) < 0.4
    target[ignored] = IGNORED
    results = []
    for replaced in (torch.zeros(()), torch.tensor(90.0), -torch.tensor(90.0)):
        z = torch.where(ignored.unsqueeze(1), replaced, logits).requires_grad_()
        value = pair[0](z, target)
        value.backward()
        results.append((value.detach(), z.grad))
    for value, gradient in results:
        assert value == results[0][0]
        assert torch.equal(gradient, results[0][1])
        assert not gradient.movedim(1, -1)[ignored].any()
        assert gradient.movedim(1, -1)[~ignored].any()


def test_ignored_columns_are_as_if_cut_off(case, pair, batch):
    logits, target = batch(case[1], size=(3, 6, 7), dtype=torch.float64, scale=2.0)
    cut = logits[..., :4].clone().requires_grad_()
    expected = pair[1](cut, target[..., :4])
    expected.backward()
    target[..., 4:] = IGNORED
    logits.requires_grad_()
    result = pair[0](logits, target)
    result.backward()
    assert_same(result, expected)
    assert_same(logits.grad[..., :4], cut.grad)


def test_the_rest_counts_wherever_it_lies(case, pair, batch):
    """Where places matter, the rest is rows that stay together."""
    logits, target = batch(case[1], size=(1, 6, 7), dtype=torch.float64, scale=2.0)
    kept = torch.rand(target.shape, generator=torch.Generator().manual_seed(2)) < 0.6
    height = 1
    if not pair[0].local:
        kept, height = torch.arange(6).view(1, 6, 1).expand(1, 6, 7) >= 2, 4
    rest = logits.movedim(1, -1)[kept].T.reshape(1, case[1], height, -1)
    expected = pair[1](rest, target[kept].reshape(1, height, -1))
    assert_same(pair[0](logits, target.masked_fill(~kept, IGNORED)), expected)


def test_an_ignored_image_is_as_if_not_in_the_batch(case, pair, batch):
    logits, target = batch(case[1], size=(3, 6, 5), dtype=torch.float64, scale=2.0)
    expected = pair[1](logits[[0, 2]], target[[0, 2]])
    target[1] = IGNORED
    assert_same(pair[0](logits, target), expected)


def test_nothing_counts(case, pair, batch):
    logits, target = batch(case[1], scale=2.0)
    for levels in ([logits], [logits, logits[..., ::2, ::2]]):
        z = [level.clone().requires_grad_() for level in levels]
        value = pair[0](z, torch.full_like(target, IGNORED))
        value.backward()
        assert value == 0
        assert all(torch.equal(level.grad, torch.zeros_like(level)) for level in z)


def test_nothing_is_ignored(case, pair, batch):
    logits, target = batch(case[1], size=(3, 6, 5), dtype=torch.float64, scale=2.0)
    assert_same(pair[0](logits, target), pair[1](logits, target))


@pytest.mark.parametrize("name", LOSSES.names())
def test_a_class_of_the_task_can_be_ignored(name, loss, batch):
    """As if its pixels were 255; its channel stays."""
    logits, target = batch(3, size=(3, 6, 5))
    for label in (0, 2):
        expected = loss(name, 3, ignore_label=IGNORED)(logits, target.masked_fill(target == label, IGNORED))
        assert loss(name, 3, ignore_label=label)(logits, target) == expected
