"""Options into keywords, with clear errors."""

import json

import pytest
from pydantic import Field, model_validator

from medseg.components import all_options, component_keywords, one_line
from medseg.config import Config
from medseg.errors import ConfigError


class SizeConfig(Config):
    width: int = Field(4, ge=1)
    sides: tuple[int, ...] = (1, 2)

    @model_validator(mode="after")
    def _odd(self) -> "SizeConfig":
        if self.width == 13:
            raise ValueError("width 13 is unlucky")
        return self


class Configured:
    Config = SizeConfig

    def __init__(self, channels, config):
        self.channels, self.config = channels, config


class Plain:
    def __init__(self, channels, depth, rate=0.5, mode=("a", 1), scale=float("inf"), *, image_size=None):
        pass


def anything(**options):
    return options


def keywords(target, options, offered=()):
    return component_keywords("model", target, options, {"channels": 3}, dict(offered))


def test_options_become_the_config():
    assert keywords(Configured, {"width": 7}) == {"channels": 3, "config": SizeConfig(width=7)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"widht": 3},
            r"^model\.widht: unknown option 'widht', did you mean 'width'\? \(choices: width, sides\)$",
        ),
        ({"width": 0}, r"^model\.width: input should be greater than or equal to 1, got 0$"),
        ({"width": 0, "sides": "x"}, r"^model\.width: .*\(and 1 more\)$"),
        ({"sides": [1, "x"]}, r"^model\.sides\.1: .*got 'x'$"),
        ({"width": 13}, r"^model: width 13 is unlucky$"),
    ],
)
def test_wrong_config_options(options, message):
    with pytest.raises(ConfigError, match=message):
        keywords(Configured, options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 1, "rat": 1}, r"^model\.rat: unknown option 'rat', did you mean 'rate'\?"),
        ({}, r"^model\.depth: Plain needs this option$"),
        ({"depth": 1, "channels": 2}, r"^model\.channels: is set by the task and cannot be an option$"),
    ],
)
def test_wrong_options_of_a_class_without_config(options, message):
    with pytest.raises(ConfigError, match=message):
        keywords(Plain, options)


def test_context_is_offered_only_where_the_signature_names_it():
    offered = {"image_size": (8, 8), "spacing": 1.0}
    assert keywords(Plain, {"depth": 2}, offered) == {"channels": 3, "depth": 2, "image_size": (8, 8)}
    assert keywords(anything, {"new": 1}, offered) == {"channels": 3, "new": 1}


def test_all_options_are_json_ready():
    assert all_options("model", Configured, {"width": 2}, ()) == {"width": 2, "sides": [1, 2]}
    plain = all_options("model", Plain, {"depth": 2}, ("channels", "image_size"))
    assert plain == {"depth": 2, "rate": 0.5}
    json.dumps(plain, allow_nan=False)


def test_resolved_options_are_valid_options():
    resolved = all_options("model", Configured, {"width": 2}, ())
    assert all_options("model", Configured, resolved, ()) == resolved


def test_one_line():
    assert one_line(ValueError("first\nsecond")) == "first"
    assert one_line(ValueError()) == "ValueError"


def deprecated(width, rate=0.5, old=None, flag=True):
    pass


def test_presets_are_defaults_that_the_user_can_change():
    presets = {"rate": 0.9, "unnamed": 1}
    call = component_keywords("model", deprecated, {"width": 1}, {}, {}, presets)
    assert call == {"width": 1, "rate": 0.9}
    call = component_keywords("model", deprecated, {"width": 1, "rate": 0.1}, {}, {}, presets)
    assert call == {"width": 1, "rate": 0.1}
    assert component_keywords("model", deprecated, {}, {}, {}, {"width": 3}) == {"width": 3}
    assert all_options("model", deprecated, {}, (), presets) == {"rate": 0.9, "old": None, "flag": True}
    assert keywords(Configured, {}) == component_keywords(
        "model", Configured, {}, {"channels": 3}, {}, {"width": 9}
    )


def test_a_default_is_not_passed_on():
    # MONAI's VNet, for one, takes a deprecated argument for given even when it is given its default.
    resolved = all_options("model", deprecated, {"width": 2}, ())
    assert resolved == {"width": 2, "rate": 0.5, "old": None, "flag": True}
    assert component_keywords("model", deprecated, resolved, {}, {}) == {"width": 2}
    assert component_keywords("model", deprecated, {"width": 2, "flag": 1}, {}, {}) == {"width": 2, "flag": 1}
