"""Tables of names."""

import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

import medseg.registry
from medseg.errors import RegistryError, UnknownNameError
from medseg.registry import Registry


@pytest.fixture
def table() -> Registry:
    return Registry("shape", {"round": "math:pi", "square": "math:e"}, "medseg.tests.shapes")


def test_loads_what_a_name_stands_for(table):
    import math

    assert table.load("round") == math.pi
    assert table.load("math:tau") == math.tau
    assert table.names() == ("round", "square")


def test_unknown_name_lists_the_nearest_and_all_choices(table):
    with pytest.raises(UnknownNameError, match=r"unknown shape 'squar', did you mean 'square'\?") as caught:
        table.load("squar")
    assert "(choices: round, square)" in str(caught.value)


def test_unknown_name_far_from_all_gets_no_guess(table):
    with pytest.raises(UnknownNameError, match=r"unknown shape 'zzz' \(choices: round, square\)"):
        table.load("zzz")


def test_a_name_cannot_be_registered_twice(table):
    table.register("flat", "math:inf")
    with pytest.raises(RegistryError, match="shape 'flat' is already registered as math:inf"):
        table.register("flat", "math:nan")


@pytest.mark.parametrize("path", ["no_such_module_here:thing", "math:no_such_attribute"])
def test_target_that_cannot_be_imported_names_the_path(table, path):
    table.register("broken", path)
    with pytest.raises(RegistryError, match=f"shape 'broken' cannot be imported from {path}"):
        table.load("broken")


def test_installed_packages_add_names_but_cannot_replace_them(monkeypatch):
    group = "medseg.tests.shapes"
    points = [EntryPoint("oval", "math:tau", group)]
    monkeypatch.setattr(medseg.registry, "entry_points", lambda *, group: points)
    assert Registry("shape", {}, group).path("oval") == "math:tau"
    with pytest.raises(RegistryError, match="shape 'oval' is defined twice: math:e and math:tau"):
        Registry("shape", {"oval": "math:e"}, group).names()


@pytest.mark.parametrize(
    ("kind", "name", "path"),
    [
        ("model", "monai:SwinUNETR", "monai.networks.nets:SwinUNETR"),
        ("loss", "monai:DiceLoss", "monai.losses:DiceLoss"),
        ("model", "smp:Unet", "segmentation_models_pytorch:Unet"),
        ("loss", "smp:DiceLoss", "segmentation_models_pytorch.losses:DiceLoss"),
        ("metric", "monai:Dice", "monai:Dice"),
        ("model", "monai.networks.nets:UNet", "monai.networks.nets:UNet"),
    ],
)
def test_libraries_go_by_short_prefixes(kind, name, path):
    assert Registry(kind, {}, "medseg.tests").path(name) == path


@pytest.mark.parametrize("name", [":thing", "module:", "module"])
def test_a_path_needs_both_parts(name):
    with pytest.raises(UnknownNameError, match=f"unknown model '{name}'"):
        Registry("model", {}, "medseg.tests").path(name)


@pytest.fixture
def plug_in(tmp_path, monkeypatch):
    """Returns a function that makes a module of a text, imported anew."""

    def make(name, text):
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, name, raising=False)

    monkeypatch.syspath_prepend(str(tmp_path))
    return make


def test_a_library_that_is_not_installed_says_what_to_install(monkeypatch):
    for module in [name for name in sys.modules if name.partition(".")[0] == "segmentation_models_pytorch"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr(sys, "path", [])
    sys.path_importer_cache.clear()
    table = Registry("model", {}, "medseg.tests")
    with pytest.raises(RegistryError) as caught:
        table.load("smp:Unet")
    assert str(caught.value) == (
        "model 'smp:Unet' needs segmentation-models-pytorch: pip install segmentation-models-pytorch"
    )
    with pytest.raises(RegistryError, match="cannot be imported from nowhere:Net: No module named 'nowhere'"):
        table.load("nowhere:Net")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def half(:", r"from plug_in_a:Net: SyntaxError: "),
        ("raise OSError('no such library\\nand more')", r"from plug_in_a:Net: OSError: no such library$"),
        ("class Odd(Exception): pass\nraise Odd", r"from plug_in_a:Net: Odd: Odd$"),
        (
            "raise RuntimeError('operator torchvision::nms does not exist')",
            r"RuntimeError: operator torchvision::nms does not exist; torch and torchvision must be of one build",
        ),
        ("class Nett: pass", r"has no attribute 'Net', did you mean 'Nett'\?$"),
        ("def __getattr__(name): raise ValueError('lazily broken')", r"ValueError: lazily broken"),
    ],
)
def test_whatever_a_plug_in_raises_is_one_line(plug_in, text, message):
    plug_in("plug_in_a", text)
    with pytest.raises(RegistryError, match=message) as caught:
        Registry("model", {"mine": "plug_in_a:Net"}, "medseg.tests").load("mine")
    assert "\n" not in str(caught.value)


def test_an_attribute_may_lie_within_a_class(plug_in):
    plug_in("plug_in_b", "class Outer:\n    class Inner: pass")
    assert Registry("model", {}, "medseg.tests").load("plug_in_b:Outer.Inner").__name__ == "Inner"


def test_what_a_name_stands_for_is_checked_where_the_table_says_so():
    table = Registry(
        "number", {"half": "math:pi", "third": "fractions:Fraction"}, "medseg.tests", "builtins:float"
    )
    assert table.load("half") > 3
    with pytest.raises(RegistryError, match=r"number 'third' must be a float, got \w+ at fractions:Fraction"):
        table.load("third")
    assert list(table.loadable()) == ["half"]


@pytest.mark.parametrize("package", ["models", "losses", "metrics"])
def test_tables_can_be_read_without_importing_torch(package):
    code = f"import sys, medseg.{package}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_builtin_name_loads():
    from medseg.losses import LOSSES
    from medseg.metrics import METRICS
    from medseg.models import MODELS

    for registry in (MODELS, LOSSES, METRICS):
        for name in registry.names():
            registry.load(name)
