import pytest
import yaml

from medseg.yaml_core import TAG, CoreLoader


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        *(("no", "str"), ("yes", "str"), ("on", "str"), ("12:30", "str"), ("2024-01-01", "str")),
        *(("1e-4", "float"), ("1.", "float"), (".5", "float"), ("-.inf", "float")),
        *(("012", "int"), ("0x1F", "int"), ("1_000", "str")),
        *(("true", "bool"), ("True", "bool"), ("~", "null")),
    ],
)
def test_plain_words_and_numbers_are_those_of_yaml_1_2(text, kind):
    assert yaml.compose(f"[{text}]", Loader=CoreLoader).value[0].tag == TAG + kind


def test_other_loaders_keep_their_rules():
    assert yaml.safe_load("no") is False
