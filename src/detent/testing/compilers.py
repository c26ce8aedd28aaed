"""What every compiler promises, as tests.

A package that adds a compiler makes a subclass of `CompilerContract` in its own tests, gives it the
fixtures, and runs pytest::

    class TestShop(CompilerContract):
        @pytest.fixture
        def compiler(self):
            return ShopCompiler()

        @pytest.fixture
        def model(self, sample):
            return ShopModel().fit(sample)

        @pytest.fixture
        def sample(self):
            return np.random.default_rng(0).normal(size=(100, 3))
"""

from typing import Any

import numpy as np
import pytest

from detent.compilers.agreement import find_difference
from detent.compilers.base import Compiler
from detent.compilers.probe import make_tables
from detent.data.table import head
from detent.errors import CorruptError, InvalidError


class CompilerContract:
    """Tests that every compiler passes; subclasses give `compiler`, `model` and `sample`."""

    @pytest.fixture
    def compiler(self) -> Compiler:
        """Return the compiler."""
        raise NotImplementedError

    @pytest.fixture
    def model(self, sample: Any) -> Any:
        """Return a fitted model that the compiler has a form of."""
        raise NotImplementedError

    @pytest.fixture
    def sample(self) -> Any:
        """Return rows as the model takes them."""
        raise NotImplementedError

    def test_it_accepts_what_it_compiles(self, compiler: Compiler, model: Any) -> None:
        """Whoever asks is told, and told of what it does not take."""
        assert compiler.accepts(model)
        assert not compiler.accepts(object())

    def test_compiling_twice_gives_the_same_bytes(
        self, compiler: Compiler, model: Any, sample: Any
    ) -> None:
        """A model registered again is the version that it is already."""
        assert compiler.compile(model, sample) == compiler.compile(model, sample)

    def test_the_form_answers_as_the_model(
        self, compiler: Compiler, model: Any, sample: Any
    ) -> None:
        """Answers are equal, for one row and many, on thresholds and for missing values."""
        methods = compiler.load(compiler.compile(model, sample), model)
        assert "predict" in methods
        rng = np.random.default_rng(1)
        for table in (sample, head(sample, 1), *make_tables(model, sample, rng)):
            assert find_difference(model, methods, table) is None

    def test_the_form_answers_by_itself(
        self, compiler: Compiler, model: Any, sample: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Rows like those of the sample are not handed to the original."""

        def asked(X: Any) -> Any:
            raise ValueError("the original was asked")

        data, one = compiler.compile(model, sample), head(sample, 1)
        expected = model.predict(one)
        monkeypatch.setattr(model, "predict", asked)
        assert compiler.load(data, model)["predict"](one) == pytest.approx(expected)

    def test_the_form_refuses_what_the_model_refuses(
        self, compiler: Compiler, model: Any, sample: Any
    ) -> None:
        """What the model gives an error for, the form gives the same error for."""
        methods = compiler.load(compiler.compile(model, sample), model)
        for nonsense in (head(sample, 0), np.zeros((2, 0)), np.zeros(3), [["?"]], None):
            with pytest.raises(Exception) as ours:  # noqa: PT011  # whichever the model raises
                methods["predict"](nonsense)
            with pytest.raises(type(ours.value)) as theirs:
                model.predict(nonsense)
            assert str(ours.value) == str(theirs.value)

    def test_damaged_forms_are_refused(self, compiler: Compiler, model: Any, sample: Any) -> None:
        """A form cut short or replaced gives an error of detent's, and no crash."""
        data = compiler.compile(model, sample)
        for damaged in (b"", data[:1], data[: len(data) // 2], b"\0" * 100):
            with pytest.raises(CorruptError):
                compiler.load(damaged, model)

    def test_what_it_has_no_form_of_is_refused(self, compiler: Compiler, sample: Any) -> None:
        """The message says that nothing was registered."""
        with pytest.raises(InvalidError, match="nothing was registered"):
            compiler.compile(object(), sample)
