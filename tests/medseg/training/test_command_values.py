import pytest

from medseg.training.command_values import ValueProblem, merged, parse_pairs


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("010", 10),
        ("0x10", 16),
        ("0o10", 8),
        ("no", "no"),
        ("true", True),
        ("null", None),
        ("", None),
        ("monai:UNet", "monai:UNet"),
        ("[1, 2.5, x]", [1, 2.5, "x"]),
        ("{low: 1, high: [2]}", {"low": 1, "high": [2]}),
        ("2026-11-25", "2026-11-25"),
        ("'a=b'", "a=b"),
        ("a=b", "a=b"),
    ],
)
def test_values_are_those_of_a_suite(text, value):
    found = parse_pairs([f"key={text}"])["key"]
    assert found == value
    assert type(found) is type(value)


def test_dotted_keys_reach_in_and_later_pairs_are_put_over_earlier_ones():
    tree = parse_pairs(["augment.noise=0.1", "augment={flip: true}", "augment.noise=0.2", "epochs=3"])
    assert tree == {"augment": {"noise": 0.2, "flip": True}, "epochs": 3}


def test_mappings_that_are_values_are_replaced():
    base = {"labels": {"RV": 1, "LV": 3}, "split": {"folds": 5, "seed": 0}}
    over = {"labels": {"LV": 3}, "split": {"folds": 3}}
    assert merged(base, over, frozenset({"labels"})) == {
        "labels": {"LV": 3},
        "split": {"folds": 3, "seed": 0},
    }


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ("epochs", "expected KEY=VALUE, e.g. batch_size=8, got 'epochs'"),
        ("=3", "expected KEY=VALUE"),
        ("augment.=3", "expected KEY=VALUE"),
        ("a=[1", "a=\\[1: not a YAML value: "),
        ("a=.nan", "a number must be finite, got .nan"),
        ("a={b: 1, b: 2}", "key 'b' is written twice"),
        ("a={1: 2}", "a key must be text"),
        ("a=!!python/name:os.system", "not a YAML value"),
        ("a=!!set {b}", "not a YAML value"),
        ("a=&x [*x]", "not a YAML value"),
    ],
)
def test_what_is_not_a_value_is_refused(pair, message):
    with pytest.raises(ValueProblem, match=message):
        parse_pairs([pair])
