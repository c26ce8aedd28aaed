"""What an estimator says about itself becomes JSON, the same in every process."""

import functools
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from detent.data.table import digest_table
from detent.domain.digest import canonical_json
from detent.lineage.model import estimator_name, find_seed, record_parameters


class Given(BaseEstimator):
    def __init__(self, value: Any = None) -> None:
        self.value = value


def recorded(value: Any) -> Any:
    parameters = record_parameters(Given(value))
    canonical_json(parameters)
    return parameters["value"]


def shift(x: Any) -> Any:
    return x


class Odd:
    def __repr__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (None, None),
        (True, True),
        (3, 3),
        (2**70, 2**70),
        (0.1, 0.1),
        ("gini", "gini"),
        ("\ud800", "\\ud800"),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (np.float64("inf"), "inf"),
        (np.float64(0.5), 0.5),
        (np.int8(3), 3),
        (np.bool_(True), True),
        (np.str_("x"), "x"),
        ((1, [2.5, None]), [1, [2.5, None]]),
        ({"a": {0: 1.0, 1: 2.0}}, {"a": {"0": 1.0, "1": 2.0}}),
        ({"b", "a", "c"}, ["a", "b", "c"]),
        (np.array([1, 2]), [1, 2]),
        (np.array([np.nan]), ["nan"]),
        (np.zeros((50, 3)), f"<array (50, 3) float64 {digest_table(np.zeros((50, 3)))}>"),
        (LogisticRegression, "sklearn.linear_model._logistic.LogisticRegression"),
        (LogisticRegression(C=2), "sklearn.linear_model._logistic.LogisticRegression"),
        (shift, f"{__name__}.shift"),
        (len, "builtins.len"),
        (lambda x: x, f"{__name__}.<lambda>"),
        (functools.partial(shift, 1), "functools.partial(<function shift>, 1)"),
        (np.random.RandomState(1), "RandomState(MT19937)"),
        (object(), "<object object>"),
        (Odd(), "<test_model.Odd>"),
        (slice(1, 2), "slice(1, 2, None)"),
        (b"x" * 5000, "b'" + "x" * 998),
    ],
)
def test_a_value_is_kept_as_json(value: Any, kept: Any) -> None:
    found = recorded(value)
    if isinstance(value, Odd):
        assert found.endswith("Odd>")
    else:
        assert (type(found), found) == (type(kept), kept)


def test_a_list_without_end_is_cut() -> None:
    endless: list[Any] = []
    endless.append(endless)
    assert "[...]" in str(recorded(endless))


def test_parameters_of_all_parts_of_a_pipeline() -> None:
    model = Pipeline([("fill", SimpleImputer()), ("forest", RandomForestClassifier(max_depth=4))])
    found = record_parameters(model)
    assert found["forest__max_depth"] == 4
    assert found["fill__missing_values"] == "nan"
    assert found["steps"][1] == ["forest", "sklearn.ensemble._forest.RandomForestClassifier"]


def test_secrets_are_not_kept() -> None:
    found = recorded({"api_key": "s3cr3t", "token_pattern": "a", "password": None})
    assert found == {"api_key": "***", "token_pattern": "a", "password": None}


class Failing:
    def get_params(self, deep: bool) -> dict[str, Any]:
        raise RuntimeError("varargs")


@pytest.mark.parametrize("model", [sum, shift, object(), Failing(), Given, None])
def test_a_model_without_parameters_has_none(model: Any) -> None:
    assert record_parameters(model) == {}


def test_two_processes_record_the_same() -> None:
    code = (
        "from detent.lineage.model import record_parameters\n"
        "class Model:\n"
        "    def get_params(self, deep):\n"
        "        return {'a': {'x', 'y', 'z'}, 'b': object(), 'c': lambda x: x}\n"
        "print(record_parameters(Model()))"
    )
    command = [sys.executable, "-c", code]
    one, other = (
        subprocess.run(
            command, check=True, capture_output=True, env=os.environ | {"PYTHONHASHSEED": seed}
        )
        for seed in "12"
    )
    assert one.stdout == other.stdout != b""


@pytest.mark.parametrize(
    ("parameters", "seed"),
    [
        ({"random_state": 42}, 42),
        ({"seed": 0}, 0),
        ({"random_state": None}, None),
        ({"random_state": True}, None),
        ({"random_state": "RandomState(MT19937)"}, None),
        ({}, None),
        ({"forest__random_state": 7}, 7),
        ({"random_state": None, "forest__random_state": 7}, 7),
        ({"random_state": 1, "forest__random_state": 7}, 1),
        ({"a__random_state": 7, "b__random_state": 7}, 7),
        ({"a__random_state": 7, "b__random_state": 8}, None),
        ({"a__b__random_state": 7, "c__random_state": 8}, 8),
        ({"my_seed": 3}, None),
    ],
)
def test_the_seed_is_that_of_the_outermost_part(
    parameters: dict[str, Any], seed: int | None
) -> None:
    assert find_seed(parameters) == seed


def test_names_of_models() -> None:
    assert estimator_name(RandomForestClassifier()) == (
        "sklearn.ensemble._forest.RandomForestClassifier"
    )
    assert estimator_name(shift) == f"{__name__}.shift"
    assert estimator_name(FunctionTransformer(np.log1p)).endswith(".FunctionTransformer")
