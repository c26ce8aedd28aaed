"""`detent compare` writes reports into files, or as its answer."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sklearn.datasets import load_wine
from sklearn.tree import DecisionTreeClassifier

import detent

Run = Callable[..., Any]


@pytest.fixture
def compared(tmp_path: Path) -> detent.Registry:
    registry = detent.connect(tmp_path / ".detent", user="ana")
    X, y = load_wine(return_X_y=True)
    for depth in (1, 3, 4):
        tree = DecisionTreeClassifier(max_depth=depth, random_state=0).fit(X[::2], y[::2])
        version = registry.register("wine", tree)
        registry.evaluate(version, X[1::2], y[1::2], dataset="every other row")
    return registry


def test_files_are_written_beside_the_answer(run: Run, compared: detent.Registry) -> None:
    plain = run("compare", "wine/1", "wine/2")
    both = run("compare", "wine/1", "wine/2", "--html", "page.html", "--markdown", "page.md")
    assert both.code == 0
    assert both.out == plain.out
    assert "report: page.html" in both.err
    report = compared.report(compared.compare("wine/1", "wine/2"))
    assert Path("page.html").read_text("utf-8") == report.to_html()
    assert Path("page.md").read_text("utf-8") == report.to_markdown()


def test_a_report_can_be_the_answer(run: Run, compared: detent.Registry) -> None:
    result = run("compare", "wine/1", "wine/2", "--markdown", "-")
    assert result.out == compared.report(compared.compare("wine/1", "wine/2")).to_markdown()
    ranked = run("compare", "wine/1", "wine/2", "wine/3", "--html", "-")
    assert ranked.out.startswith("<!doctype html>")
    assert ranked.out.count("<h1>") == 1


def test_json_is_as_without_a_report(run: Run, compared: detent.Registry) -> None:
    plain = run("compare", "wine/1", "wine/2", "--json")
    result = run("compare", "wine/1", "wine/2", "--json", "--html", "page.html")
    assert json.loads(result.out) == json.loads(plain.out)
    assert Path("page.html").exists()


@pytest.mark.parametrize("options", [["--markdown", "-", "--html", "-"], ["--html", "-", "--json"]])
def test_stdout_holds_one_answer(run: Run, compared: detent.Registry, options: list[str]) -> None:
    result = run("compare", "wine/1", "wine/2", *options)
    assert (result.code, result.out) == (2, "")
    assert "one answer" in result.err


def test_a_file_that_cannot_be_written(run: Run, compared: detent.Registry) -> None:
    result = run("compare", "wine/1", "wine/2", "--html", "no/such/folder.html")
    assert result.code == 2
    assert "no/such/folder.html cannot be written" in result.err


def test_without_vl_convert_the_page_is_written_and_says_so(
    run: Run, compared: detent.Registry, without: Callable[[str], None]
) -> None:
    without("vl_convert")
    result = run("compare", "wine/1", "wine/2", "--html", "page.html")
    assert result.code == 0
    assert "pip install 'detent[charts]'" in result.err
    assert "<svg" not in Path("page.html").read_text("utf-8")
