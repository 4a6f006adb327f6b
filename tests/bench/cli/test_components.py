"""`bench list`, `bench show` and `bench check`, as a user types them."""

import json
import os
import re
import subprocess
import sys
from contextlib import redirect_stdout
from importlib.metadata import EntryPoint, metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from rich.console import Console

from bench.cli.catalogue import distribution, licence
from bench.cli.component_child import ComponentError
from bench.cli.component_report import say_loss, say_model
from bench.cli.component_worker import COMMANDS
from bench.cli.main import main
from bench.cli.options import parse_options
from bench.errors import SuiteError
from bench.suite import parse_suite
from medseg.errors import MedsegError
from medseg.losses import LOSSES
from medseg.models import MODELS
from medseg.training.conformance import CHECKS

NARROW = ("-o", "features=[4,8]")
OWN = '''
import os
import sys

from torch import nn

class Noisy(nn.Conv2d):
    """A convolution that talks.

    Doe 2020, https://example.org.

    Args:
        in_channels: Of the images.
    """

    def __init__(self, in_channels, out_channels, kernel, padding="same", bias: bool = True):
        print("being built")
        super().__init__(in_channels, out_channels, kernel, padding=padding, bias=bias)
        self.weight.requires_grad_(False)

    def forward(self, image):
        print("being run")
        return super().forward(image)

class Ends(nn.Conv2d):
    """Ends its process once it is run for real."""

    def __init__(self, in_channels, out_channels, how="exit"):
        super().__init__(in_channels, out_channels, 1)
        self.how = how
        if how == "build":
            os._exit(0)

    def forward(self, image):
        os.system("echo said by a child")
        logits = super().forward(image)
        if self.how != "talk" and image.shape[-1] != 16:
            {"exit": lambda: os._exit(0), "raise": sys.exit, "signal": lambda: os.kill(os.getpid(), 11)}[self.how]()
        return logits

class Sum(nn.Module):
    def __init__(self, power=1):
        super().__init__()

    def forward(self, logits, target):
        return logits.sum()
'''


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def bench(monkeypatch, capfd, tmp_path):
    """Runs `bench ...` in a folder with a module of one's own; returns exit code, output and errors."""
    (tmp_path / "tests_own.py").write_text(OWN, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(sys, "path", list(sys.path))

    def run(*arguments) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["bench", *map(str, arguments)])
        try:
            main()
            code = 0
        except SystemExit as error:
            code = error.code
        output = capfd.readouterr()
        return code, output.out, output.err

    yield run
    sys.modules.pop("tests_own", None)


@pytest.fixture
def in_process(monkeypatch):
    """Asks the worker in this process, where torch is imported once; what ends a process needs a real one."""

    def attend(command, **arguments):
        try:
            with redirect_stdout(sys.stderr):
                messages = list(COMMANDS[command](**arguments))
        except MedsegError as error:
            raise ComponentError(str(error)) from error
        yield from json.loads(json.dumps(messages, default=repr))

    monkeypatch.setattr("bench.cli.component_commands.attend", attend)


@pytest.mark.parametrize("kind", ["models", "losses", "tasks", "metrics"])
def test_every_name_is_listed_with_what_it_is(bench, kind):
    code, out, err = bench("list", kind, "--json")
    assert (code, err) == (0, "")
    rows = json.loads(out)
    assert all(row["origin"] == "medseg-bench" and row["summary"] for row in rows)
    lines = bench("list", kind)[1].splitlines()
    assert [line.split()[0] for line in lines] == [row["name"] for row in rows]
    assert all(row["summary"] in line for row, line in zip(rows, lines, strict=True))


def test_listing_agrees_with_the_classes(bench):
    for kind, registry in (("models", MODELS), ("losses", LOSSES)):
        rows = {row["name"]: row for row in json.loads(bench("list", kind, "--json")[1])}
        assert tuple(rows) == registry.names()
        for name, row in rows.items():
            cls = registry.load(name)
            assert row["summary"] == cls.__doc__.strip().splitlines()[0].removesuffix(".")
            assert row["paper"] == cls.paper != ""


def test_listing_imports_no_torch():
    code = (
        "import sys; from bench.cli.catalogue import KINDS, entries; [entries(kind) for kind in KINDS]; "
        "print([m for m in ('torch', 'ray', 'accelerate') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("kind", ["models", "losses"])
def test_listing_is_the_same_wherever_one_stands(bench, kind, tmp_path):
    """Also with an editable install, whose finder is not on the path."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    script = Path(sys.executable).with_name("bench")
    done = subprocess.run(
        [script, "list", kind, "--json"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert all(row["summary"] and row["paper"] for row in json.loads(done.stdout))


def test_plug_ins_are_listed_under_their_package_without_being_run(bench, monkeypatch, tmp_path):
    package = tmp_path / "tests_plugged"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('was run')")
    (package / "nets.py").write_text(
        "raise SystemExit('was run')\nclass Net:\n    '''A net.'''\n    paper: str = 'Roe 1'\n"
        "def make():\n    '''Makes one.'''\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    points = [
        EntryPoint("my_net", "tests_plugged.nets:Net", "medseg.models"),
        EntryPoint("my_make", "tests_plugged.nets:make", "medseg.models"),
        EntryPoint("my_lost", "tests_plugged.elsewhere:Net", "medseg.models"),
    ]
    for point in points:
        point.__dict__["dist"] = SimpleNamespace(name="plugged-dist")
    monkeypatch.setattr("bench.cli.catalogue.entry_points", lambda group: points)
    monkeypatch.setattr(MODELS, "_paths", MODELS._paths | {point.name: point.value for point in points})
    rows = {row["name"]: row for row in json.loads(bench("list", "models", "--json")[1])}
    assert {rows[point.name]["origin"] for point in points} == {"plugged-dist"}
    assert [rows[point.name]["summary"] for point in points] == ["A net", "Makes one", ""]
    assert rows["my_net"]["paper"] == "Roe 1"
    lines = [line.split() for line in bench("list", "models")[1].splitlines()]
    assert ["my_lost", "plugged-dist", "tests_plugged.elsewhere:Net"] in lines


def test_a_model_is_shown_as_json_and_nothing_else(bench):
    shape = ("--channels", 1, "--classes", 4, "--size", 224)
    code, out, err = bench("show", "model", "unet", *shape, "--no-measure", "--json")
    card = json.loads(out)
    assert (code, err) == (0, "")
    assert (card["parameters"], card["size_divisor"], card["step"]) == (31_042_564, 16, None)
    assert card["gmacs"] == pytest.approx(36.829986816)
    assert (card["channels"], card["classes"], card["size"]) == (1, 4, [224, 224])
    assert (card["class"], card["licence"]) == ("medseg.models.unet:UNet", "Apache-2.0")
    assert "1505.04597" in card["paper"]


def test_a_model_is_shown_with_what_a_step_costs_here(bench, in_process):
    code, out, err = bench("show", "model", "unet", *NARROW, "--size", "32x48", "--batch", 3)
    assert (code, err) == (0, "")
    assert "from medseg-bench, licence: Apache-2.0" in out
    assert "image ─ block 64" in out
    assert "Args:" not in out
    assert "[4, 8] (default [64, 128, 256, 512, 1024])" in out
    assert "One of zeros, reflect." in out
    assert "1 x 32 x 48 images, 4 channels of logits" in out
    assert "batch of 3, float32, ce_dice, Adam" in out
    assert "\nspace:\n  model." in out


def _card(kind, name):
    """Returns what `bench show` shows, without a subprocess."""
    shape = {"channels": 1, "size": (64, 64), "batch": 2, "measure": False} if kind == "model" else {}
    *_, last = COMMANDS[f"show_{kind}"](name=name, options={}, classes=4, **shape)
    return json.loads(json.dumps(last["card"]))


@pytest.mark.parametrize(("kind", "registry"), [("model", MODELS), ("loss", LOSSES)])
def test_search_spaces_can_be_pasted_into_a_suite(capfd, kind, registry, tmp_path):
    """As printed; and the default lies in them, since it is the first trial."""
    for name in registry.names():
        card = _card(kind, name)
        (say_model if kind == "model" else say_loss)(card, Console())
        space = capfd.readouterr().out.partition("\nspace:\n")[2]
        if not space:
            continue
        other = "losses: [ce_dice]" if kind == "model" else "models: [unet]"
        plural = "models" if kind == "model" else "losses"
        pasted = "".join(f"    {line}\n" for line in space.rstrip().splitlines())
        text = (
            f"suite: s\ntasks: [phantom-cardiac]\n{plural}: [{name}]\n{other}\n"
            f"tune:\n  budget: {{trials: 2}}\n  space:\n{pasted}"
        )
        suite = parse_suite(text, tmp_path / "s.yaml").suite
        assert {path: spec.model_dump(exclude_unset=True) for path, spec in suite.tune.space.items()} == {
            path: spec | ({"choices": tuple(spec["choices"])} if "choices" in spec else {})
            for path, spec in card["search"].items()
        }
        defaults = {option["name"]: option["default"] for option in card["options"]}
        for path, spec in suite.tune.space.items():
            assert spec.contains(defaults[path.partition(".")[2]]), (name, path)


def test_a_foreign_model_is_shown(bench, request):
    code, out, _ = bench(
        "show", "model", "tests_own:Noisy", "-okernel=3", "--size", 8, "--json", "--no-measure"
    )
    card = json.loads(out)
    assert code == 0
    assert (card["parameters"], card["trainable"], card["gmacs"]) == (40, 4, 8 * 8 * 9 * 4 / 1e9)
    assert (card["size_divisor"], card["declared"], card["licence"]) == (1, False, "unknown")
    assert card["text"] == "A convolution that talks.\n\nDoe 2020, https://example.org."
    assert [(o["name"], o["value"], o["required"]) for o in card["options"]] == [
        ("kernel", 3, True),
        ("padding", "same", False),
        ("bias", True, False),
    ]
    request.getfixturevalue("in_process")
    out = bench("show", "model", "tests_own:Noisy", "-okernel=3", "--size", 8, "--no-measure")[1]
    assert "36 of them frozen" in out
    assert "1 (found by trying)" in out


def test_losses_tasks_and_metrics_are_shown(bench, in_process):
    code, out, _ = bench("show", "loss", "tversky")
    assert code == 0
    assert "TP_c" in out
    assert "1706.05721" in out
    assert "Cost of a false positive." in out
    card = json.loads(bench("show", "loss", "tests_own:Sum", "--json")[1])
    assert [(o["name"], o["default"]) for o in card["options"]] == [("power", 1)]
    out = bench("show", "task", "phantom-cardiac")[1]
    assert "labels: {RV: 1, MYO: 2, LV: 3}" in out
    assert json.loads(bench("show", "task", "acdc-lv", "--json")[1])["image_size"] == [256, 224]
    out = bench("show", "metric", "hd95")[1]
    assert "hd95/erode1/maxdir/linear/v1" in out
    assert json.loads(bench("show", "metric", "dice", "--json")[1])["higher_is_better"] is True


def test_a_model_that_conforms_is_exit_code_0(bench):
    arguments = ("check", "model", "unet", "--narrow", "--size", "32x48", "--skip", "compiles")
    code, out, err = bench(*arguments)
    assert (code, err) == (0, "")
    *lines, verdict = out.splitlines()
    assert verdict == f"unet: all {len(CHECKS) - 1} checks passed, 1 skipped"
    assert [line.split()[:2] for line in lines] == [["ok", name] for name in CHECKS if name != "compiles"]


def test_a_model_that_does_not_conform_is_exit_code_1(bench, request):
    own = ("check", "model", "tests_own:Noisy", "-okernel=3", "--size", "16", "--skip", "compiles")
    code, out, err = bench(*own)
    assert code == 1
    assert "FAIL  overfits" in out
    assert "Dice of four phantom slices must reach 0.95" in out
    assert "ok    gradient" in out
    assert out.splitlines()[-1] == f"tests_own:Noisy: 1 of {len(CHECKS) - 1} checks failed, 1 skipped"
    assert "being built" in err
    request.getfixturevalue("in_process")
    code, out, err = bench(*own, "--json")
    report = json.loads(out)
    assert (code, report["ok"], report["options"]) == (1, False, {"kernel": 3})
    assert [check["name"] for check in report["checks"] if not check["ok"]] == ["overfits"]


@pytest.mark.parametrize(
    ("how", "status"),
    [("exit", "exit status 0"), ("raise", "exit status 0"), ("signal", "signal 11, SIGSEGV")],
)
def test_a_model_that_ends_its_process_fails_the_check_that_ran(bench, how, status):
    """It does so at another width than 16, as `sizes_that_divide` has it."""
    own = ("check", "model", "tests_own:Ends", f"-ohow={how}", "--size", "16", "--skip", "compiles")
    code, out, _ = bench(*own)
    names = [name for name in CHECKS if name != "compiles"]
    at = names.index("sizes_that_divide")
    *lines, verdict = out.splitlines()
    assert code == 1
    assert [line.split()[:2] for line in lines] == [
        *(["ok", name] for name in names[:at]),
        ["FAIL", names[at]],
        *(["-", name] for name in names[at + 1 :]),
    ]
    assert lines[at].endswith(f"the process ended ({status})")
    assert all(line.endswith("not tried") for line in lines[at + 1 :])
    left = len(names) - at - 1
    assert verdict == f"tests_own:Ends: 1 of {at + 1} checks failed, {left} not tried, 1 skipped"


def test_what_a_model_writes_to_standard_output_is_kept_out_of_json(bench):
    skip = [f"--skip={name}" for name in CHECKS if name != "output_shape"]
    code, out, err = bench("check", "model", "tests_own:Ends", "-ohow=talk", "--size", "16", *skip, "--json")
    assert (code, json.loads(out)["ok"]) == (0, True)
    assert "said by a child" in err
    code, out, err = bench("show", "model", "tests_own:Ends", "-ohow=talk", "--no-measure", "--json")
    assert (code, json.loads(out)["parameters"]) == (0, 8)
    assert "said by a child" in err


@pytest.mark.parametrize("command", ["show", "check"])
@pytest.mark.parametrize(
    ("name", "what"),
    [("tests_ends:Net", "importing the model"), ("tests_own:Ends", "(counting|building the model)")],
)
def test_a_model_that_ends_its_process_before_it_is_built_is_one_line(bench, command, name, what, tmp_path):
    (tmp_path / "tests_ends.py").write_text("raise SystemExit(3)")
    code, out, err = bench(command, "model", name, *(["-ohow=build"] if "own" in name else []))
    status = 0 if "own" in name else 3
    assert (code, out) == (2, "")
    assert re.fullmatch(rf"bench: {name}: the process ended \(exit status {status}\) while {what}\n", err)


def test_folders_of_the_user_do_not_hide_this_package(bench, tmp_path):
    for name in ("bench", "medseg"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit(3)")
    assert bench("show", "loss", "dice")[0] == 0


def test_a_loss_is_shown_with_the_options_it_is_given(bench, in_process):
    options = {o["name"]: o for o in json.loads(bench("show", "loss", "tversky", "--json")[1])["options"]}
    code, out, err = bench("show", "loss", "tversky", "-o", "alpha=0.25")
    assert (code, err) == (0, "")
    assert f"0.25 (default {options['alpha']['default']})" in out
    card = json.loads(bench("show", "loss", "tests_own:Sum", "-opower=2", "--classes", 1, "--json")[1])
    assert [(o["name"], o["default"], o["value"]) for o in card["options"]] == [("power", 1, 2)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "model", "unt"], "bench: unknown model 'unt', did you mean 'unet'?"),
        (["show", "model", "unet", "--size", "100"], "needs image sides divisible by 16, got 100 x 100"),
        (["show", "model", "unet", "--size", "65"], "64 x 64 or 80 x 80 would fit"),
        (["show", "loss", "tversky", "-o", "alfa=1"], "did you mean 'alpha'?"),
        (["show", "loss", "tversky", "-o", "alpha=many"], "alpha"),
        (["show", "loss", "tests_own:Sum", "-o", "pwer=2"], "did you mean 'power'?"),
        (["show", "model", "unet", "--size", "1x2x3"], "expected pixels as 64 or as ROWSxCOLUMNS"),
        (["show", "model", "unet", "--size", "0"], "expected pixels as 64 or as ROWSxCOLUMNS"),
        (["show", "model", "unet", "-o", "featres=[8,16]"], "did you mean 'features'?"),
        (["show", "model", "unet", "-o", "features"], "--option features: expected KEY=VALUE"),
        (["show", "model", "unet", "-o", "features=[8"], "--option features:1:"),
        (["show", "loss", "tversk"], "unknown loss 'tversk', did you mean 'tversky'?"),
        (["show", "task", "acdc"], "unknown task 'acdc'"),
        (["show", "metric", "dic"], "unknown metric 'dic', did you mean 'dice'?"),
        (["check", "model", "nowhere.at:All"], "cannot be imported from nowhere.at:All"),
        (
            ["check", "model", "unet", "--skip", "compile"],
            "unknown check 'compile', did you mean 'compiles'?",
        ),
        (
            ["check", "model", "tests_own:Noisy", "-okernel=3", "--narrow"],
            "has no options that make it narrow",
        ),
        (["list", "weights"], "'weights' is not one of"),
    ],
)
def test_a_wrong_command_line_is_exit_code_2(bench, in_process, arguments, message):
    code, out, err = bench(*arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "loss", "tversky", "-o", "alfa=1"], "did you mean 'alpha'?"),
        (["check", "model", "nowhere.at:All"], "cannot be imported from nowhere.at:All"),
    ],
)
def test_what_the_worker_refuses_is_exit_code_2(bench, arguments, message):
    code, out, err = bench(*arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1


def test_options_are_read_as_in_a_suite():
    pairs = ("features=[8, 16]", "rate=1e-3", "name=no", "head.width=3", "head.bias=false", "none=null")
    assert parse_options(pairs) == {
        "features": [8, 16],
        "rate": 1e-3,
        "name": "no",
        "head": {"width": 3, "bias": False},
        "none": None,
    }
    with pytest.raises(SuiteError, match="expected KEY=VALUE"):
        parse_options(["=3"])


def test_licences_are_those_of_the_distributions():
    assert licence("medseg.models.unet:UNet") == "Apache-2.0"
    assert licence("monai.networks.nets:UNet") == "Apache License 2.0"
    # States the whole text as its licence's name.
    assert licence("dynamic_network_architectures.architectures.unet:PlainConvUNet").startswith(
        "Apache License"
    )
    assert licence("segmentation_models_pytorch:Unet") == "MIT"
    # Joins several, and is longer than a title.
    assert licence("torch.nn:Conv2d") == metadata("torch")["License-Expression"]
    assert (distribution("nowhere.at:all"), licence("nowhere.at:all")) == ("unknown", "unknown")


def test_help_says_what_the_checks_are_for(bench):
    code, out, _ = bench("check", "model", "--help")
    assert code == 0
    assert "monai:SwinUNETR" in out
    assert "--narrow" in out
    assert "--no-measure" in bench("show", "model", "--help")[1]
