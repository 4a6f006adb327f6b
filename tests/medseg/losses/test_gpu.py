"""On a GPU every loss gives the CPU's numbers, and never makes the host wait."""

import pytest
import torch

from medseg.losses import LOSSES
from medseg.losses.reduce import across_processes

pytestmark = pytest.mark.gpu


@pytest.fixture
def no_waiting():
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    yield
    torch.cuda.set_sync_debug_mode(before)


@pytest.mark.parametrize("ignore", [None, 255])
@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("name", LOSSES.names())
def test_same_numbers_without_waiting(name, channels, ignore, loss, batch, request):
    logits, target = batch(channels, size=(3, 24, 20), scale=2.0)
    if ignore is not None:
        target[:, 5:9] = ignore
    weights = [1.0 + c for c in range(max(channels, 2))]
    function = loss(name, channels, weights=weights, ignore_label=ignore)
    levels = [logits.requires_grad_(), logits.detach()[..., ::2, ::2]]
    expected = function(levels, target)
    (slope,) = torch.autograd.grad(expected, logits)

    there = [level.detach().cuda().requires_grad_() for level in levels]
    target, function = target.cuda(), function.cuda()
    function(there, target).backward()  # what is set up at the first call may wait
    there[0].grad = None
    request.getfixturevalue("no_waiting")
    value = function(there, target)
    value.backward()
    torch.cuda.set_sync_debug_mode("default")
    torch.testing.assert_close(value.cpu(), expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(there[0].grad.cpu(), slope, rtol=1e-4, atol=1e-6)

    # Beside a process that has the same images.
    torch.cuda.set_sync_debug_mode("error")
    with across_processes(lambda own: 2 * own):
        value = function(there, target)
        value.backward()
    torch.cuda.set_sync_debug_mode("default")
    torch.testing.assert_close(value.cpu(), expected, rtol=1e-5, atol=1e-6)
