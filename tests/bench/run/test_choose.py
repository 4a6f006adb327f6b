from types import SimpleNamespace

import pytest

from bench.errors import BenchError
from bench.run.choose import Chosen


def named(*names: str) -> tuple[SimpleNamespace, ...]:
    return tuple(SimpleNamespace(title=name, label=name) for name in names)


SUITE = SimpleNamespace(
    tasks=named("lung", "heart"),
    models=named("U-Net", "resunet"),
    losses=named("ce", "dice"),
    compare=("model", "loss"),
)


def study(task: str, model: str, loss: str) -> SimpleNamespace:
    entry = f"{model} + {loss}"
    return SimpleNamespace(
        task=SimpleNamespace(name=task), models=named(model), losses=named(loss), entry=entry
    )


@pytest.mark.parametrize(
    ("chosen", "count"),
    [
        (Chosen(), 8),
        (Chosen(tasks=("lung",)), 4),
        (Chosen(models=("U-Net",), losses=("ce", "dice")), 4),
        (Chosen(("lung",), ("U-Net",), ("dice",)), 1),
        (Chosen(tasks=("lung", "heart")), 8),
    ],
)
def test_names_of_one_kind_add_up_and_kinds_narrow(chosen, count):
    chosen.check(SUITE)
    studies = [
        study(t, m, k) for t in ("lung", "heart") for m in ("U-Net", "resunet") for k in ("ce", "dice")
    ]
    assert sum(map(chosen.has, studies)) == count


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (
            Chosen(tasks=("lungs",)),
            "--task: the suite has no task 'lungs', did you mean 'lung'? (choices: lung, heart)",
        ),
        (Chosen(models=("swin",)), "--model: the suite has no model 'swin' (choices: U-Net, resunet)"),
        (Chosen(losses=("ce", "dise")), "--loss: the suite has no loss 'dise', did you mean 'dice'?"),
    ],
)
def test_an_unknown_name_is_one_line_with_the_choices(chosen, message):
    with pytest.raises(BenchError) as caught:
        chosen.check(SUITE)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_names_that_do_not_meet_are_one_line_with_what_does():
    pairs = [study("lung", "U-Net", "ce"), study("lung", "resunet", "dice"), study("heart", "resunet", "ce")]
    assert Chosen(models=("resunet",)).of(pairs) == pairs[1:]
    with pytest.raises(BenchError) as caught:
        Chosen(("lung",), ("U-Net",), ("dice",)).of(pairs)
    assert str(caught.value) == (
        "--task lung --model U-Net --loss dice: these do not meet in the suite; "
        "there are lung: U-Net + ce, lung: resunet + dice"
    )
    many = [study("heart", f"m{n}", "ce") for n in range(11)]
    with pytest.raises(BenchError, match=r"heart: m7 [+] ce, 3 more$"):
        Chosen(("lung",)).of(many)


def test_what_each_study_searches_cannot_be_chosen():
    suite = SimpleNamespace(**{**vars(SUITE), "compare": ("model",)})
    Chosen(models=("U-Net",)).check(suite)
    with pytest.raises(BenchError, match="--loss: the suite does not compare by loss"):
        Chosen(losses=("ce",)).check(suite)
