"""Recipes for clusters are well-formed, and what they say is so."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from bench.cli.run import run
from bench.run.cluster import SHIPPED
from bench.run.searcher import NODE_WAIT_S, WARM_LEAD, WARM_TRIALS

TEXT = (Path(__file__).parents[1] / "docs" / "cluster.md").read_text()
BLOCKS = re.findall(r"```(sh|yaml)\n(.*?)```", TEXT, flags=re.DOTALL)


def blocks(language: str) -> list[str]:
    return [text for name, text in BLOCKS if name == language]


@pytest.mark.parametrize("script", blocks("sh"))
def test_scripts_are_shell(script):
    subprocess.run(["bash", "-n"], input=script, text=True, check=True, capture_output=True)


def test_manifests_are_yaml():
    job, launcher = (yaml.safe_load(text) for text in blocks("yaml"))
    pods = [
        job["spec"]["rayClusterSpec"]["headGroupSpec"],
        *job["spec"]["rayClusterSpec"]["workerGroupSpecs"],
    ]
    for pod in pods:
        spec = pod["template"]["spec"]
        mounted = {mount["name"] for box in spec["containers"] for mount in box["volumeMounts"]}
        assert mounted == {volume["name"] for volume in spec["volumes"]}
    assert launcher["head_node_type"] in launcher["available_node_types"]


def test_commands_have_the_options_that_are_used():
    known = {option for parameter in run.params for option in parameter.opts}
    lines = [line for line in TEXT.splitlines() if "bench run suites" in line or "bench run /mnt" in line]
    assert len(lines) > 5
    for line in lines:
        command = line.partition("bench run")[2]
        assert set(re.findall(r"--[a-z][a-z-]*", command)) <= known | {"--tmux"}


def test_numbers_and_names_are_the_codes():
    assert all(f"`{prefix}*`" in TEXT for prefix in SHIPPED)
    assert f"in {NODE_WAIT_S / 60:g} minutes" in TEXT
    assert (WARM_LEAD, WARM_TRIALS) == (0.1, 4)
