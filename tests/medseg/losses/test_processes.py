"""A batch that is spread over processes: here threads, whose sums are one graph."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from medseg.losses import LOSSES
from medseg.losses.reduce import across_processes, mean_of_pixels, over_processes

IGNORED = 255
PROCESSES, EACH = 3, 2
# What is not the default and sums otherwise; all of it can be exact.
OPTIONS = [
    ("boundary", {"batch": True}),
    ("ce_dice", {"batch": False, "squared": True}),
    ("dice", {"batch": False, "include_background": True}),
    ("dice_focal", {"alpha": 0.25, "batch": False}),
    ("focal_tversky", {"batch": False}),
    ("generalised_dice", {"batch": True}),
    ("generalised_dice", {"batch": True, "include_background": False, "weighting": "simple"}),
    ("lovasz", {"per_image": True}),
    ("topk_ce", {"fraction": 1}),
    ("tversky", {"batch": False, "include_background": True}),
]
INEXACT = ("lovasz", "topk_ce")
EXACT = [(name, {}) for name in LOSSES.names() if name not in INEXACT] + OPTIONS
CASES = [
    (*case, channels, setting)
    for case in EXACT
    for channels, settings in (
        (1, ["plain", "all and levels"]),
        (3, ["plain", "weights", "one has nothing", "all and levels"]),
    )
    for setting in settings
]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Meeting:
    """Sums what the threads bring; each thread's `total` is told who it is."""

    def __init__(self):
        self.barrier = threading.Barrier(PROCESSES, timeout=30)
        self.brought = [None] * PROCESSES
        self.calls = [0] * PROCESSES

    def total(self, rank):
        def add(own):
            self.calls[rank] += 1
            self.brought[rank] = own
            self.barrier.wait()
            found = torch.stack(self.brought).sum(dim=0)
            self.barrier.wait()
            return found

        return add


def spread(function, levels, target):
    """Returns what each thread gets for its share of the images, and how often it summed."""
    meeting = Meeting()

    def evaluate(rank):
        part = slice(rank * EACH, (rank + 1) * EACH)
        try:
            with across_processes(meeting.total(rank)):
                return function([level[part] for level in levels], target[part])
        except BaseException:
            meeting.barrier.abort()
            raise

    with ThreadPoolExecutor(PROCESSES) as pool:
        values = list(pool.map(evaluate, range(PROCESSES)))
    assert len(set(meeting.calls)) == 1
    return values, meeting.calls[0]


def slope(value, logits):
    return torch.autograd.grad(value, logits, retain_graph=True)[0]


def compare(function, logits, target, levels=1):
    """Asserts that processes and one process agree on value and gradient."""
    logits.requires_grad_()
    pyramid = [logits, logits[..., ::2, ::2], logits[..., ::4, ::4]][:levels]
    expected = function(pyramid, target)
    values, _ = spread(function, pyramid, target)
    result = torch.stack(values).mean()
    torch.testing.assert_close(result, expected, rtol=1e-10, atol=1e-13)
    torch.testing.assert_close(slope(result, logits), slope(expected, logits), rtol=1e-10, atol=1e-13)


@pytest.fixture
def arrange(loss, batch):
    """Makes a loss, and logits and target of a setting."""

    def make(name, options, channels, setting):
        logits, target = batch(channels, size=(PROCESSES * EACH, 6, 5), dtype=torch.float64, scale=2.0)
        # Processes differ in their classes, and the first has none of the last class.
        target[:EACH].clamp_(max=max(channels, 2) - 2)
        options = dict(options)
        if setting in ("weights", "all and levels"):
            options["weights"] = [1.0, 3.0, 0.5][: max(channels, 2)]
        if setting in ("ignored", "one has nothing", "all and levels"):
            options["ignore_label"] = IGNORED
            target[0], target[1, :2], target[4, 3:] = IGNORED, IGNORED, IGNORED
        if setting == "one has nothing":
            target[1] = IGNORED
        return loss(name, channels, **options), logits, target

    return make


@pytest.mark.parametrize(("name", "options", "channels", "setting"), CASES, ids=str)
def test_the_mean_over_processes_is_the_loss_of_the_batch(name, options, channels, setting, arrange):
    function, logits, target = arrange(name, options, channels, setting)
    assert function.exact_across_processes
    compare(function, logits, target, levels=3 if setting == "all and levels" else 1)


@pytest.mark.parametrize("name", LOSSES.names())
def test_where_nothing_counts_anywhere_it_is_0(name, arrange):
    function, logits, target = arrange(name, {"ignore_label": IGNORED}, 3, "weights")
    values, _ = spread(function, [logits.requires_grad_()], torch.full_like(target, IGNORED))
    assert not any(values)
    assert not slope(torch.stack(values).mean(), logits).any()


@pytest.mark.parametrize(
    ("name", "options", "calls"),
    [
        # Without weights and ignored pixels, with weights, with ignored pixels.
        ("ce", {}, (0, 1, 1)),
        ("bce", {}, (0, 0, 1)),
        ("focal", {}, (0, 1, 1)),
        ("dice", {}, (1, 1, 1)),
        ("dice", {"batch": False}, (0, 0, 1)),
        ("generalised_dice", {}, (0, 0, 1)),
        ("boundary", {}, (0, 0, 2)),
        ("tversky", {}, (1, 1, 1)),
        ("ce_dice", {}, (1, 2, 2)),
        ("bce_dice", {}, (1, 1, 2)),
        ("topk_ce", {}, (0, 1, 1)),
        ("lovasz", {}, (0, 0, 0)),
        ("lovasz", {"per_image": True}, (0, 0, 1)),
    ],
    ids=str,
)
def test_sums_are_exchanged_only_where_they_must(name, options, calls, arrange):
    found = []
    for setting in ("plain", "weights", "ignored"):
        function, logits, target = arrange(name, options, 3, setting)
        found.append(spread(function, [logits], target)[1])
    assert tuple(found) == calls


def test_counts_are_exchanged_without_a_gradient(arrange):
    """So that nothing is exchanged on the way back: with shares of a mean the gradient is local."""
    for name, options in (("ce", {}), ("boundary", {}), ("dice", {"batch": False})):
        function, logits, target = arrange(name, options, 3, "all and levels")
        with across_processes(lambda own: own if not own.requires_grad else pytest.fail("has a gradient")):
            function(logits.requires_grad_(), target)


def test_the_hardest_are_picked_by_each_process_but_count_alike(arrange):
    function, logits, target = arrange("topk_ce", {"fraction": 0.4}, 3, "all and levels")
    assert not function.exact_across_processes
    losses = torch.nn.functional.cross_entropy(logits, target, reduction="none", ignore_index=IGNORED)
    weights = function.weights.double()[target.where(target != IGNORED, 0)]
    above = below = 0
    for first in range(0, PROCESSES * EACH, EACH):
        part = slice(first, first + EACH)
        counted = target[part] != IGNORED
        each, of = losses[part][counted], weights[part][counted]
        hardest = (each * of).topk(int(0.4 * len(each))).indices
        above, below = above + (each * of)[hardest].sum(), below + of[hardest].sum()
    values, _ = spread(function, [logits], target)
    torch.testing.assert_close(torch.stack(values).mean(), above / below, rtol=1e-10, atol=0)


@pytest.mark.parametrize("name", [*INEXACT, "torch.nn:CrossEntropyLoss"])
def test_what_cannot_be_exact_says_so_and_is_each_processes_own(name, loss, batch):
    logits, target = batch(3, size=(PROCESSES * EACH, 4, 5))
    function = loss(name, 3)
    assert not function.exact_across_processes
    values, calls = spread(function, [logits], target)
    parts = zip(logits.split(EACH), target.split(EACH), strict=True)
    assert values == [function(*part) for part in parts]
    assert not calls


def stumble(one):
    with across_processes(lambda own: 3 * own):
        assert over_processes([one])[0] == 3
        1 / 0  # noqa: B018


def test_the_innermost_context_counts_and_ends_with_an_error():
    one = torch.ones(())
    with across_processes(lambda own: 2 * own):
        with pytest.raises(ZeroDivisionError):
            stumble(one)
        assert over_processes([one])[0] == 2
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(over_processes, [one]).result()[0] is one
    assert over_processes([one])[0] is one


def test_it_breaks_no_graph_and_is_seen_by_a_compiled_loss(batch):
    logits, target = batch(1)
    valid = target > 0
    run = torch.compile(mean_of_pixels, fullgraph=True, backend="eager")
    expected = logits[:, 0][valid].mean()
    torch.testing.assert_close(run(logits[:, 0], target, None, valid), expected)
    # The sums of three, but the count of five processes.
    with across_processes(lambda own: own * torch.tensor([5.0, 3.0])):
        torch.testing.assert_close(run(logits[:, 0], target, None, valid), expected * 3 / 5)
    torch.testing.assert_close(run(logits[:, 0], target, None, valid), expected)


@pytest.mark.parametrize("name", ["ce", "focal", "topk_ce"])
def test_a_scaled_gradient_of_nothing_is_0(name, loss, batch):
    """A GradScaler multiplies by 65536: divided by the smallest number that would be infinite, times 0."""
    logits, target = batch(2)
    value = loss(name, 2, weights=[0, 1])(logits.requires_grad_(), torch.zeros_like(target))
    (65536 * value).backward()
    assert logits.grad.isfinite().all()
