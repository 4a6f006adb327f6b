import subprocess
import sys
from pathlib import Path

import pytest

from bench.errors import SuiteError
from bench.suite import parse_suite
from bench.suite.check_train import NEEDS_GPU
from bench.suite.resolve import known_tasks, train_config

HEAD = "suite: s\ntasks: [phantom-lung]\nmodels: [unet]\nlosses: [dice]\n"
PATH = Path("s.yaml")


def problems(text: str) -> list[str]:
    with pytest.raises(SuiteError) as caught:
        parse_suite(text, PATH)
    return [f"{place}: {message}" for place, message in caught.value.problems]


def test_names_and_mappings_mean_the_same() -> None:
    short = parse_suite(HEAD, PATH).suite
    long = parse_suite(
        "suite: s\ntasks: [{name: phantom-lung}]\nmodels: [{name: unet}]\nlosses: [{name: dice}]\n", PATH
    ).suite
    assert short == long
    assert short.tune is None
    assert short.final.seeds == (0,)
    assert short.compare == ("model", "loss")


def test_yaml_1_2_numbers_reach_the_settings() -> None:
    text = HEAD + (
        "train: {learning_rate: 1e-4}\n"
        "tune: {budget: {epochs: 100}, space: {train.weight_decay: {low: 0, high: 1e-2}}}"
    )
    suite = parse_suite(text, PATH).suite
    assert suite.train["learning_rate"] == 1e-4
    assert suite.tune is not None
    assert suite.tune.space["train.weight_decay"].high == 0.01


def made(rest: str = "", tasks: str = "phantom-lung", models: str = "unet", losses: str = "dice") -> str:
    return f"suite: s\ntasks: [{tasks}]\nmodels: [{models}]\nlosses: [{losses}]\n{rest}"


def task(fields: str) -> str:
    return made(tasks=f"{{name: phantom-lung, {fields}}}")


def tuned(rest: str) -> str:
    return made(f"tune: {{{rest}, space: {{train.warmup: {{low: 0.0, high: 0.5}}}}}}")


def claimed(claim: str, rest: str = "") -> str:
    return made(f"claims: [{{id: c, {claim}}}]\n{rest}", losses="dice, bce, focal")


DICE_BCE = "task: phantom-lung, better: {loss: dice}, than: {loss: bce}"

# The text, with @ where the problem is, and how its message begins.
REFUSED = [
    # Unknown keys, at every depth, point to the key and name the nearest.
    (made("@clams: []"), "unknown key 'clams', did you mean 'claims'? (choices: suite, "),
    (made("train: {@leraning_rate: 1}"), "unknown key 'leraning_rate', did you mean 'learning_rate'?"),
    (made("train:\n  augment:\n    @nois: 1"), "unknown key 'nois', did you mean 'noise'?"),
    (made("final: {@seed: [1]}"), "unknown key 'seed', did you mean 'seeds'? (choices: folds, seeds)"),
    (tuned("budget: {trials: 2, @trails: 1}"), "unknown key 'trails', did you mean 'trials'?"),
    (made(models="{name: unet, @labl: x}"), "unknown key 'labl', did you mean 'label'?"),
    (made(models="{name: unet, train: {@epoch: 1}}"), "unknown key 'epoch', did you mean 'epochs'?"),
    (task("@imagesize: 3"), "unknown key 'imagesize', did you mean 'image_size'?"),
    (task("split: {@fold: 3}"), "unknown key 'fold', did you mean 'folds'?"),
    (task("@overrides: {}"), "unknown key 'overrides'"),
    # Wrong types say what came; text is no number and true is not 1.
    (made("train: {epochs: @'3'}"), "train.epochs must be a whole number, got '3'"),
    (made("train: {epochs: @2.5}"), "train.epochs must be a whole number, got 2.5"),
    (made("train: {batch_size: @true}"), "train.batch_size must be a whole number, got True"),
    (made("train: {learning_rate: @-1}"), "train.learning_rate must be greater than 0, got -1"),
    (made("train: @[1]"), "train must be a mapping, got [1]"),
    (made("train: {optimizer: @adamm}"), "train.optimizer must be 'adam', 'adamw' or 'sgd', got 'adamm'"),
    (made("final: {seeds: @[]}"), "final.seeds must have at least 1, got []"),
    (made("final: {seeds: @[0, 0]}"), "final.seeds: must not repeat 0"),
    (made("final: {seeds: [@-1]}"), "final.seeds[0] must be greater than or equal to 0, got -1"),
    (made("compare: [@modle]"), "compare[0] must be 'model' or 'loss', got 'modle'"),
    (made("compare: @[]"), "compare must have at least 1, got []"),
    (made("resources: @{gpus: 1.5}"), "resources: gpus must be whole above 1, got 1.5"),
    (made().replace(": s", ": @My Suite"), "suite: must be of lower-case letters, digits and hyphens, got"),
    (made(losses="@3"), "losses[0] must be a mapping, got 3"),
    (made().replace("[dice]", "@dice"), "losses must be a list, got 'dice'"),
    (task("image_size: [64, @sixty]"), "tasks[0].image_size[1] must be a whole number, got 'sixty'"),
    (task("split: {test: @half}"), "tasks[0].split.test must be 'official', a number or a list, got 'half'"),
    (task("split: @{test: 1.5}"), "tasks[0].split: split.test must lie between 0 and 1, got 1.5"),
    (made(models="{name: unet, resources: {cpus: @0}}"), "models[0].resources.cpus must be greater than or"),
    (made(models="{name: unet, label: @' x'}"), "models[0].label: must be one line without blanks around"),
    # Recipes, and rules between keys.
    (
        made("train: {recipe: @adm}"),
        "unknown recipe 'adm', did you mean 'adam'? (choices: adam, nnunet, adamw)",
    ),
    (made("train: {recipe: @3}"), "unknown recipe 3 (choices: adam, "),
    (
        made(models="{name: unet, train: {recipe: @nnunett}}"),
        "unknown recipe 'nnunett', did you mean 'nnunet'?",
    ),
    (made("train: {@recip: adam}"), "unknown key 'recip', did you mean 'recipe'?"),
    (
        made("train: {batch_size: 4, micro_batch: @8}"),
        "train.micro_batch must be at most batch_size, got 8 and 4",
    ),
    (
        made("train: {micro_batch: 8}", models="{name: unet, train: @{batch_size: 4}}"),
        "models[0].train: micro_batch must be at most batch_size, got 8 and 4",
    ),
    (made("train: {precision: @fp16}"), f"train.{NEEDS_GPU}"),
    (made(models="{name: unet, train: {precision: @fp16}}"), f"train.{NEEDS_GPU}"),
    (
        made("train: {precision: fp16}\nresources: {gpus: 1}", models="{name: unet, resources: {gpus: @0}}"),
        f"train.{NEEDS_GPU}",
    ),
    (made("train: {patch_size: @[64, 256]}"), "train.patch_size must not be larger than the image_size of"),
    (made("train: {patch_size: [64, @0]}"), "train.patch_size[1] must be greater than or equal to 1, got 0"),
    (made("train: {patch_size: @64}"), "train.patch_size must be a list, got 64"),
    (
        made("train: {learning_rate: 3e-4}", models="{name: unet, train: {recipe: @nnunet}}"),
        "unet: recipe nnunet sets learning_rate to 0.01, but the suite's train: says 0.0003 for all models: write",
    ),
    (
        made("train: {augment: {noise_p: 0.0}}", models="{name: unet, train: {recipe: @nnunet}}"),
        "unet: recipe nnunet sets augment.noise_p to 0.1, but the suite's train: says 0.0 for all models",
    ),
    (
        made("train: {optimizer: sgd}", models="{name: unet, train: {recipe: @adam}}"),
        "unet: recipe adam sets optimizer to 'adam', but the suite's train: says 'sgd' for all models",
    ),
    # Missing keys point to the mapping that lacks them.
    (made("tune: @{seed: 1}"), "tune: missing key 'budget'"),
    (made(models="@{label: x}"), "models[0]: missing key 'name'"),
    (made().replace("suite: s\n", "").replace("tasks", "@tasks"), "missing key 'suite'"),
    # Names.
    (made(models="@unett"), "unknown model 'unett', did you mean 'unet'? (choices: "),
    (made(losses="bce, {name: @focl}"), "unknown loss 'focl', did you mean 'focal'?"),
    (
        made(tasks="{name: mine, format: folder, labels: {a: 1}, image_size: [8, 8], @flip: []}"),
        "unknown key 'flip', did you mean 'flips'",
    ),
    (
        made(tasks="{name: mine, format: @foldr, labels: {a: 1}, image_size: [8, 8]}"),
        "tasks[0].format must be 'acdc'",
    ),
    (made(tasks="@{name: mine, format: folder, labels: {a: 1}}"), "tasks[0]: missing key 'image_size'"),
    (
        made(tasks="@{name: mine, format: folder, labels: {a: 0}, image_size: [8, 8]}"),
        "tasks[0]: labels: value 0 is",
    ),
    (
        made(
            tasks="{name: mine, format: folder, labels: {a: 1}, image_size: [8, 8], @phantom: {patients: 8}}"
        ),
        "mine is read from files: it has no phantom",
    ),
    (
        made(
            "data: {mine: here}\n", tasks="{name: mine, format: @dicom, labels: {a: 1}, image_size: [8, 8]}"
        ),
        "tasks[0].format must be 'acdc'",
    ),
    (made(tasks="@mine"), "unknown task 'mine' (choices"),
    (made(tasks="@phantom-lnug"), "unknown task 'phantom-lnug', did you mean 'phantom-lung'?"),
    (task("metrics: [dice, @hd59]"), "unknown metric 'hd59', did you mean 'hd95'?"),
    (
        made(tasks="@{name: phantom-lung, metrics: [iou]}"),
        "selection_metric must be one of the task's metrics",
    ),
    # Metrics that a task cannot give, or cannot be chosen by.
    (
        task("metrics: [dice, @volume_ml]"),
        "volume_ml is a volume in mL and needs unit mm, but phantom-lung has",
    ),
    (
        made(tasks="{name: phantom-lung, metrics: [dice, nsd], tolerance_mm: @null}"),
        "nsd needs tolerance_mm, the distance in px that counts as no error; phantom-lung declares none",
    ),
    (
        task("selection_metric: @pixel_accuracy"),
        "pixel_accuracy is only reported, never ranked or chosen by: name another metric",
    ),
    (task("metrics: [dice, nsd], tolerance_mm: @-1"), "tasks[0].tolerance_mm must be "),
    (
        made(tasks="{name: acdc-multiclass, tolerance_mm: @{LV: 1, RV: 2}}"),
        "tasks[0]: tolerance_mm must be one number, or name each of the labels RV, MYO, LV, got LV, RV",
    ),
    (task("empty_policy: @monai"), "tasks[0].empty_policy must be 'nnunet', 'brats' or 'one', got 'monai'"),
    (made(tasks="{name: acdc-lv, @phantom: {patients: 8}}"), "acdc-lv is read from files: it has no phantom"),
    (made("data: {@acdcc: /x}"), "unknown data set 'acdcc', did you mean 'acdc'?"),
    # Duplicates.
    (made(models="unet, @unet"), "models: 'unet' is listed twice, first as number 1; give one"),
    (made(tasks="phantom-lung, @phantom-lung"), "tasks: 'phantom-lung' is listed twice"),
    # Folds and budgets.
    (made("final: {folds: [0, @3]}"), "fold must be less than the 3 folds of phantom-lung, got 3"),
    (tuned("budget: {trials: 1}, fold: @7"), "fold must be less than the 3 folds of phantom-lung, got 7"),
    (
        tuned("budget: @{trials: 1, epochs: 2}"),
        "tune.budget: needs exactly one of trials, epochs, device_hours",
    ),
    (tuned("budget: @{}"), "tune.budget: needs exactly one of trials, epochs, device_hours, got none"),
    (tuned("budget: {epochs: @2}, epochs: 3"), "a budget of 2 epochs does not pay for one tuning trial of 3"),
    (made("tune: @{budget: {trials: 2}}"), "nothing to tune for unet with dice: its space is empty"),
    (
        made("compare: @[model]", losses="dice, bce"),
        "compare leaves out loss, so that each study chooses one",
    ),
    # Claims.
    (claimed(f"{DICE_BCE}, metric: @dcie"), "unknown metric 'dcie', did you mean 'dice'?"),
    (claimed(f"{DICE_BCE}, metric: @masd"), "phantom-lung does not measure masd; it measures dice, iou"),
    (
        claimed(f"{DICE_BCE}, metric: @pixel_accuracy"),
        "pixel_accuracy is only reported, never claimed by: name another metric",
    ),
    (claimed(DICE_BCE.replace("phantom-lung", "@acdc-lv")), "the suite has no task 'acdc-lv'"),
    (claimed(DICE_BCE.replace("bce", "@[bce, focl]")), "the suite has no loss 'focl', did you mean 'focal'?"),
    (
        claimed(DICE_BCE.replace("loss: bce", "model: @3")),
        "claims[0].than.model must be text or a list, got",
    ),
    (claimed(DICE_BCE.replace("{loss: bce}", "@{}")), "claims[0].than: needs model, loss, or both"),
    (claimed(f"{DICE_BCE}, margin: @-1"), "claims[0].margin must be greater than or equal to 0, got -1"),
    (claimed(f"{DICE_BCE}, margin: @5"), "claim 'c': values of dice differ by at most 1, got margin 5"),
    (
        claimed(f"{DICE_BCE}, equivalence: @1"),
        "claim 'c': values of dice differ by at most 1, got equivalence 1",
    ),
    (claimed(f"{DICE_BCE}, equivalence: @0"), "claims[0].equivalence must be greater than 0, got 0"),
    (claimed(f"{DICE_BCE}, unit: @fold"), "claims[0].unit must be 'patient' or 'task', got 'fold'"),
    (claimed(f"{DICE_BCE}, unit: @task"), "a claim over tasks needs at least 6 tasks, got 1"),
    (claimed(DICE_BCE.replace("phantom-lung", "@[]")), "claims[0].task: must name a task"),
    (
        claimed(DICE_BCE.replace("phantom-lung", "@[phantom-lung, phantom-lung]")),
        "claims[0].task: must not repeat",
    ),
    (
        claimed(DICE_BCE.replace("phantom-lung", "@[phantom-lung, acdc-lv]")),
        "the suite has no task 'acdc-lv'",
    ),
    (
        made(f"claims: [@{{id: c, {DICE_BCE}}}]", losses="dice, bce").replace("loss: bce}", "loss: dice}"),
        "claim 'c' compares an entry with itself: its sides must name the same axis (model or loss), "
        "with no label in common",
    ),
    # What one side leaves open, the other has.
    (
        made(
            "claims: [@{id: c, task: phantom-lung, better: {model: unet}, than: {loss: bce}}]",
            losses="dice, bce",
        ),
        "claim 'c' compares an entry with itself",
    ),
    (
        made(
            "claims: [@{id: c, task: phantom-lung, better: {loss: [dice, bce]}, than: {loss: [bce, focal]}}]",
            losses="dice, bce, focal",
        ),
        "claim 'c' compares an entry with itself",
    ),
    (
        made(
            "claims: [@{id: c, task: phantom-lung, better: {model: unet, loss: dice}, than: {model: unet}}]",
            losses="dice, bce",
        ),
        "claim 'c' compares an entry with itself",
    ),
]


@pytest.mark.parametrize(("marked", "message"), REFUSED)
def test_a_wrong_suite_is_refused_with_its_place(marked: str, message: str) -> None:
    before, _, after = marked.partition("@")
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    (found,) = problems(before + after)
    assert found.startswith(f"s.yaml:{line}:{column}: {message}")


@pytest.mark.parametrize(
    "sides",
    [
        "better: {loss: dice}, than: {loss: [bce, focal]}",
        "better: {model: unet, loss: dice}, than: {loss: bce}",
        "better: {model: unet, loss: dice}, than: {model: unet, loss: [bce, focal]}",
    ],
)
def test_sides_without_an_entry_in_common_are_a_claim(sides: str) -> None:
    parse_suite(claimed(f"task: phantom-lung, {sides}"), PATH)


def test_a_recipe_sets_what_nobody_wrote() -> None:
    text = made(
        "train: {recipe: nnunet, learning_rate: 3e-3, epochs: 7, augment: {noise: 0.5}}",
        models="unet, {name: resunet, train: {recipe: adamw, learning_rate: 1e-3, augment: {noise: 0.1}}}",
    )
    suite = parse_suite(text, PATH).suite
    first, second = (train_config(suite, model) for model in suite.models)
    assert (first.optimizer, first.learning_rate, first.epochs, first.momentum) == ("sgd", 3e-3, 7, 0.99)
    assert (first.augment.noise, first.augment.gamma_high) == (0.5, 1.5)
    assert (second.optimizer, second.learning_rate, second.epochs) == ("adamw", 1e-3, 7)
    # What the suite's recipe set is not written: nothing of it is left.
    assert (second.momentum, second.weight_decay, second.augment.gamma_high) == (0.9, 1e-2, 1.25)


@pytest.mark.parametrize(
    "train",
    [
        # The suite says how long all train.
        "{recipe: nnunet}",
        "{recipe: nnunet, augment: {noise_p: 0.2}}",
    ],
)
def test_a_models_recipe_keeps_the_suites_budget(train: str) -> None:
    rest = "train: {epochs: 5, steps_per_epoch: 20, weight_decay: 3e-5}"
    suite = parse_suite(made(rest, models=f"{{name: unet, train: {train}}}"), PATH).suite
    config = train_config(suite, suite.models[0])
    assert (config.epochs, config.steps_per_epoch, config.optimizer) == (5, 20, "sgd")


def test_everything_wrong_with_train_is_said_at_once() -> None:
    text = made(
        "train: {recipe: adm, epochs: 0, batch_size: 4, micro_batch: 8}",
        models="unet, {name: resunet, train: {clip_norm: 1}}",
    )
    assert [line.split(": ", 1)[0] for line in problems(text)] == ["s.yaml:5:17", "s.yaml:5:30"]
    text = text.replace("adm", "adam").replace("epochs: 0", "epochs: 1")
    assert [line.split(": ", 1)[0] for line in problems(text)] == ["s.yaml:5:62"]


def test_patches_are_refused_for_each_task_that_is_smaller() -> None:
    text = made(
        "train: {patch_size: [64, 64]}", tasks="phantom-lung, {name: phantom-cardiac, image_size: [32, 96]}"
    )
    (found,) = problems(text)
    assert found.endswith("image_size of phantom-cardiac, 32 x 96, got 64 x 64")


def test_half_precision_is_for_gpus() -> None:
    text = made("train: {precision: fp16}\nresources: {gpus: 0.5}")
    assert parse_suite(text, PATH).suite.train["precision"] == "fp16"
    assert parse_suite(made("train: {precision: bf16}"), PATH).suite.resources.gpus == 0


def test_predictions_are_kept_where_asked() -> None:
    assert parse_suite(made("keep_predictions: true"), PATH).suite.keep_predictions
    assert not parse_suite(HEAD, PATH).suite.keep_predictions


def test_a_claim_about_a_searched_axis_is_refused() -> None:
    text = claimed(DICE_BCE, "compare: [model]\ntune: {budget: {trials: 2}}")
    assert len(problems(text)) == 2
    assert all(
        "loss is not in compare: it is chosen by tuning, not compared" in line for line in problems(text)
    )


def test_missing_sections_are_all_named() -> None:
    assert problems("suite: s\n") == [
        f"s.yaml:1:1: missing key '{key}'" for key in ("tasks", "models", "losses")
    ]


@pytest.mark.parametrize(
    ("task", "names"),
    [
        ("phantom-lung", ["phantom-lung"]),
        ("[phantom-lung]", ["phantom-lung"]),
        ("all", ["phantom-lung", "x"]),
    ],
)
def test_a_claim_names_one_task_or_several_or_all(task: str, names: list[str]) -> None:
    text = claimed(DICE_BCE.replace("phantom-lung", task)).replace("@", "")
    claim = parse_suite(text, PATH).suite.claims[0]
    assert claim.tasks(["phantom-lung", "x"]) == tuple(names)
    assert (claim.equivalence, claim.unit) == (None, "patient")


def test_claims_may_name_labels_that_are_not_names() -> None:
    text = HEAD.replace("[unet]", "[{name: unet, label: U-Net narrow}, unet]") + (
        "claims: [{id: c, task: phantom-lung, better: {model: U-Net narrow}, than: {model: [unet]}, margin: 0.01}]"
    )
    claim = parse_suite(text, PATH).suite.claims[0]
    assert claim.better.labels("model") == ("U-Net narrow",)
    assert claim.than.labels("model") == ("unet",)


def test_everything_is_reported_at_once_in_the_order_of_the_file() -> None:
    text = """suite: Quick
train: {leraning_rate: 1, epochs: three}
tasks: [phantom-cardiak, {name: phantom-lung, split: {folds: 1}}]
models: [unett, {name: resunet, labl: x}]
losses: [ce_dice, 3, focl]
final: {folds: [0], seeds: [0, 0]}
final: {}
tune: {budget: {trials: 3, epochs: 4}}
clams: []
"""
    places = [line.split(": ", 1)[0] for line in problems(text)]
    assert places == [
        "s.yaml:1:8",
        "s.yaml:2:9",
        "s.yaml:2:35",
        "s.yaml:3:9",
        "s.yaml:3:62",
        "s.yaml:4:10",
        "s.yaml:4:33",
        "s.yaml:5:19",
        "s.yaml:5:22",
        "s.yaml:6:28",
        "s.yaml:7:1",
        "s.yaml:8:16",
        "s.yaml:9:1",
    ]


def test_a_stand_in_is_never_reported() -> None:
    """The claim refers to a loss whose entry is invalid for another reason."""
    text = HEAD.replace("[dice]", "[{name: dice, optoins: {}}, bce]") + f"claims: [{{id: c, {DICE_BCE}}}]"
    assert [line.split(" (")[0] for line in problems(text)] == [
        "s.yaml:4:23: unknown key 'optoins', did you mean 'options'?"
    ]


def test_not_a_mapping() -> None:
    assert problems("- a\n- b\n") == ["s.yaml:1:1: a suite must be a mapping of keys to values, got a list"]
    assert problems("just text") == [
        "s.yaml:1:1: a suite must be a mapping of keys to values, got 'just text'"
    ]


def test_module_paths_are_left_to_the_probe() -> None:
    suite = parse_suite(HEAD.replace("[unet]", "['my_nets.small:SmallNet']"), PATH).suite
    assert suite.models[0].title == "my_nets.small:SmallNet"


def test_a_suite_sets_tolerances_and_what_empty_masks_count() -> None:
    one, each = (
        f"{{name: acdc-multiclass, metrics: [dice, nsd, volume_ml], tolerance_mm: {tolerance}, empty_policy: one}}"
        for tolerance in ("2", "{LV: 1, RV: 1.5, MYO: 1}")
    )
    for text, expected in ((one, {"RV": 2, "MYO": 2, "LV": 2}), (each, {"RV": 1.5, "MYO": 1, "LV": 1})):
        (task,) = known_tasks(parse_suite(made(tasks=text), PATH).suite).values()
        assert (task.tolerances(), task.empty_policy) == (expected, "one")


def test_data_roots_start_at_the_suite(tmp_path: Path) -> None:
    loaded = parse_suite(HEAD + "data: {acdc: ../acdc, covid: /abs/covid}", tmp_path / "s.yaml")
    assert loaded.data_roots() == {"acdc": tmp_path / "../acdc", "covid": Path("/abs/covid")}


def test_locate_points_later_stages_to_the_line() -> None:
    loaded = parse_suite(HEAD + "final:\n  seeds: [0, 1]\n", PATH)
    assert str(loaded.locate(("tasks", 0, "image_size"))) == "s.yaml:2:9"
    assert str(loaded.locate(("final", "seeds", 1))) == "s.yaml:6:14"


def test_reading_a_suite_imports_neither_torch_nor_ray() -> None:
    code = (
        "import sys; from pathlib import Path; from bench.suite import parse_suite;"
        f"parse_suite({HEAD!r}, Path('s.yaml'));"
        "print(sorted({'torch', 'ray', 'optuna', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
