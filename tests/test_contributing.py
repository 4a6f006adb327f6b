"""CONTRIBUTING.md, followed literally: its files and table lines go into a copy of the package."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
TESTS = {"model": "training/test_conformance.py", "loss": "losses/test_losses.py"}


def section(title: str) -> str:
    return re.split(r"^## ", GUIDE.split(f"## {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def python_blocks(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


def follow(kind: str, copy: Path) -> tuple[Path, str]:
    """Does what the section says; returns the new file and the registered name."""
    text = section(f"Add a {kind}")
    path = re.search(r"`(medseg/\w+/\w+\.py)`", text)[1]
    source, line = python_blocks(text)[:2]
    shutil.copytree(ROOT / "medseg", copy / "medseg", ignore=shutil.ignore_patterns("__pycache__"))
    (copy / path).write_text(source, encoding="utf-8")
    table = copy / Path(path).parent / "__init__.py"
    before, last = table.read_text(encoding="utf-8").split(f'    "medseg.{Path(path).parent.name}",\n')
    opening, _, closing = before.rpartition("    },\n")
    table.write_text(
        f'{opening}{line}    }},\n{closing}    "medseg.{Path(path).parent.name}",\n{last}', encoding="utf-8"
    )
    assert len(line.splitlines()) == 1
    return copy / path, line.split('"')[1]


def python(copy: Path, *arguments: str) -> None:
    environment = os.environ | {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=copy, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("kind", ["model", "loss"])
def test_the_recipe_works(kind, tmp_path):
    path, name = follow(kind, tmp_path)
    table, build = (
        ("MODELS", "build_model(c, 1, 4, (32, 32))") if kind == "model" else ("LOSSES", "build_loss(c, 4)")
    )
    package = f"medseg.{path.parent.name}"
    python(
        tmp_path,
        "-c",
        f"import {package}; from medseg.config import Component\n"
        f"from {package} import {table}, {build.split('(')[0]}\n"
        f"assert {package}.__file__.startswith({str(tmp_path)!r})\n"
        f"assert {name!r} in {table}.names()\n"
        f"c = Component(name={name!r}); assert type({build}).__module__ == '{package}.{path.stem}'",
    )


@pytest.mark.parametrize("kind", ["model", "loss"])
def test_the_tests_find_the_new_name(kind, tmp_path):
    """The suites that the guide promises run over the new name, and pass."""
    _, name = follow(kind, tmp_path)
    suite = ROOT / "tests/medseg" / TESTS[kind]
    python(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(suite), "-k", name)


@pytest.mark.parametrize("kind", ["model", "loss"])
def test_the_new_file_is_in_house_style(kind, tmp_path):
    path, _ = follow(kind, tmp_path)
    settings = ("--config", str(ROOT / "pyproject.toml"))
    python(
        tmp_path, "-m", "ruff", "check", "--no-cache", *settings, str(path), str(path.parent / "__init__.py")
    )
    python(tmp_path, "-m", "ruff", "format", "--no-cache", "--check", *settings, str(path))


def test_the_model_takes_ten_lines():
    source, line = python_blocks(section("Add a model"))[:2]
    assert len([text for text in (source + line).splitlines() if text.strip()]) <= 10


def test_the_config_beside_the_class_is_checked(tmp_path):
    path, name = follow("model", tmp_path)
    configured = python_blocks(section("Add a model"))[2]
    imports = (
        "from typing import Any, ClassVar\nfrom pydantic import Field\nfrom torch import nn\n"
        "from medseg.config import Config, search\n"
    )
    path.write_text(imports + configured, encoding="utf-8")
    python(
        tmp_path,
        "-c",
        "from medseg.config import Component; from medseg.models import build_model, resolve_options\n"
        "from medseg.errors import ConfigError\n"
        f"assert resolve_options(Component(name={name!r})) == {{'width': 16}}\n"
        f"c = Component(name={name!r}, options={{'width': 0}})\n"
        "try: build_model(c, 1, 4, (32, 32))\n"
        "except ConfigError as error: assert 'model.width: input should be greater' in str(error)\n"
        "else: raise AssertionError\n"
        f"from medseg.config import search_space; from medseg.models import MODELS; found = MODELS.load({name!r})\n"
        "assert search_space(found.Config) == {'width': {'low': 8, 'high': 64, 'log': True}}\n"
        "build_model(Component(name=c.name, options=found.narrow), 1, 4, (32, 32)), found.paper",
    )


def test_the_check_of_a_model_runs():
    (code,) = python_blocks(section("Without touching this repository"))
    exec(code, {})


def test_other_ways_are_told():
    text = section("Without touching this repository")
    assert '[project.entry-points."medseg.models"]' in text
    assert "my_package.networks:MyNet" in text
