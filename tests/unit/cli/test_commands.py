"""Each command answers on stdout, as full values and as JSON, with its exit code."""

import json
import pickle
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.naive_bayes import GaussianNB

import detent
from detent.cli.running import load, make_parser
from detent.cli.table import COMMANDS, GROUPS

Run = Callable[..., Any]


def rows(text: str) -> list[list[str]]:
    return [line.split("\t") for line in text.splitlines()]


def test_status_is_tab_separated_when_piped(run: Run, registry: detent.Registry) -> None:
    result = run("status")
    header, row = rows(result.out)
    assert header[:4] == ["MODEL", "ALIAS", "ACTIVE", "SINCE"]
    assert row[:3] == ["churn", "production", "v2"]
    assert row[3].endswith("Z")
    assert row[4:] == ["ana", "weekly retrain", "-", "-", "-"]
    assert "\x1b" not in result.out


def test_status_at_a_time(run: Run, registry: detent.Registry) -> None:
    first = registry.history("churn@production")[-1]
    result = run("status", "churn@production", "--at", first.at.isoformat())
    assert "churn@production was v1 at" in result.out
    assert "activated by ana: the first one" in result.out
    early = run("status", "churn@production", "--at", "2001-01-01")
    assert early.code == 4
    assert "held nothing at 2001-01-01" in early.err
    assert run("status", "--at", "whenever").code == 2


def test_history_lists_refused_tries(run: Run, registry: detent.Registry) -> None:
    registry.rollback("churn@production", reason="it failed")
    with pytest.raises(detent.RefusedError):
        registry.activate("churn/2", "production")
    body = rows(run("history", "churn@production").out)[1:]
    assert [(row[0], row[2], row[4]) for row in body] == [
        ("-", "v2", "refused"),
        ("3", "v1", "rollback"),
        ("2", "v2", "activate"),
        ("1", "v1", "activate"),
    ]
    assert len(rows(run("history", "churn@production", "--limit", "2").out)) == 3


def test_versions_newest_first_and_searched(run: Run, registry: detent.Registry) -> None:
    assert [row[0] for row in rows(run("versions", "churn").out)[1:]] == ["v3", "v2", "v1"]
    assert [row[0] for row in rows(run("versions", "churn", "--search", "RUN 2").out)[1:]] == ["v2"]
    assert [row[0] for row in rows(run("versions", "churn", "--limit", "1").out)[1:]] == ["v3"]
    assert rows(run("versions", "churn", "--since", "1h").out)[1:]
    assert rows(run("models").out)[1][:3] == ["churn", "3", "v3"]


def test_activate_says_what_is_and_how_to_undo_it(run: Run, registry: detent.Registry) -> None:
    result = run("activate", "churn/3", "production", "--reason", "more rows")
    assert (result.code, result.out) == (0, "churn@production: v2 → v3\n")
    assert result.err == "  undo: detent rollback churn@production\n"
    again = run("activate", "churn/3", "production")
    assert again.out == "churn@production is v3 already; nothing was changed\n"
    assert registry.status("churn@production").activation.reason == "more rows"


def test_rollback_and_the_way_back(run: Run, registry: detent.Registry) -> None:
    result = run("rollback", "churn@production", "--hold", "-m", "it failed")
    assert result.out == "churn@production: v2 → v1 (rollback), on hold\n"
    assert "detent activate churn/2 production --override REASON" in result.err
    held = run("activate", "churn/3", "production")
    assert held.code == 6
    assert "on hold since" in held.err
    assert run("release", "churn@production").code == 0
    refused = run("activate", "churn/2", "production")
    assert refused.code == 6
    assert "version 1 is still active" in refused.err
    assert run("activate", "churn/2", "production", "--override", "mended").code == 2, "not asked"
    overridden = run("activate", "churn/2", "production", "--override", "mended", "--yes")
    assert overridden.out.startswith("churn@production: v1 → v2, decision")
    assert run("rollback", "churn@production", "--to", "v1").code == 0
    nothing = run("rollback", "churn@production")
    assert nothing.code == 6
    assert "version 1 is the first it has held" in nothing.err


def test_promote_deactivate_note(run: Run, registry: detent.Registry) -> None:
    assert run("activate", "churn/3", "staging").code == 0
    assert run("promote", "churn@staging", "production").out == "churn@production: v2 → v3\n"
    assert run("deactivate", "churn@staging").out == "churn@staging: v3 → no version\n"
    assert run("rollback", "churn@staging").out == "churn@staging: v3 (rollback)\n"
    assert run("note", "churn/3", "more rows").code == 0
    assert registry.version("churn/3").note == "more rows"
    assert run("note", "churn@production", "because").code == 0
    assert registry.status("churn@production").activation.reason == "because"


def test_what_cannot_be_undone_wants_a_yes(run: Run, registry: detent.Registry) -> None:
    for command in (["withdraw", "churn/3", "-m", "leaked"], ["delete", "churn/3"]):
        result = run(*command)
        assert result.code == 2
        assert "nothing was changed" in result.err
        assert "--yes" in result.err
    assert run("withdraw", "churn/3", "-m", "leaked labels", "--yes").code == 0
    assert registry.version("churn/3").withdrawn == "leaked labels"
    assert run("activate", "churn/3", "production", "--override", "x", "--yes").code == 6
    assert run("delete", "churn/3", "--yes").code == 0
    gone = run("show", "churn/3")
    assert gone.code == 4
    assert "was deleted" in gone.err
    assert run("delete", "churn/2", "--yes").code == 6, "it is active"
    assert run("prune", "--older-than", "0").code == 2
    assert run("prune", "--older-than", "0", "--yes").out.startswith("2 blobs and 0 unfinished")
    assert run("verify").code == 0


@pytest.mark.parametrize(
    "command",
    [
        ["activate", "churn/3", "production"],
        ["activate", "churn/3", "production", "--override", "x"],
        ["promote", "churn@production", "staging"],
        ["rollback", "churn@production", "--hold"],
        ["deactivate", "churn@production"],
        ["hold", "churn@production"],
        ["withdraw", "churn/3", "-m", "leaked"],
        ["delete", "churn/3"],
        ["note", "churn/3", "text"],
        ["register", "churn", "other.bin"],
        ["import", "old"],
        ["export", "churn/1", "out"],
        ["prune", "--older-than", "0"],
        ["repair", "--from", "old"],
        ["policy", "set", "churn@production", "policy.toml"],
    ],
)
def test_a_dry_run_changes_nothing(
    run: Run, registry: detent.Registry, tmp_path: Path, command: list[str]
) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "churn_v1.pkl").write_bytes(pickle.dumps([1]))
    (tmp_path / "other.bin").write_bytes(b"other")
    (tmp_path / "policy.toml").write_text("reason_required = true\n")
    before = registry.audit()
    result = run(*command, "--dry-run")
    assert result.code == 0, result.err
    assert registry.audit() == before
    assert not (tmp_path / "out").exists()


def test_register_keeps_a_file_as_it_is(
    run: Run, registry: detent.Registry, tmp_path: Path
) -> None:
    (tmp_path / "train.csv").write_text("a,b\n1,2\n")
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(GaussianNB().fit([[0.0], [1.0]], [0, 1])))
    result = run(
        "register", "churn", "model.pkl", "--data", "train.csv", "--parent", "churn/1",
        "--note", "more rows",
    )  # fmt: skip
    assert result.out.startswith("churn/4 registered: ")
    card = registry.show("churn/4")
    assert card.manifest.format == "joblib"
    assert card.manifest.lineage.parents == ("churn/1",)
    assert card.version.data == "train"
    assert registry.load("churn/4", trusted=True).predict([[1.0]]).tolist() == [1]
    again = run("register", "churn", "model.pkl", "--data", "train.csv", "--parent", "churn/1")
    assert again.code == 0
    assert "already churn/4; nothing was registered" in again.err
    assert run("register", "churn", "no-such-file").code == 4


def test_import_shows_its_plan_first(run: Run, tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir()
    for name in ("churn_v2.joblib", "churn_v10.pkl", "churn_v1.pkl", "notes.txt"):
        (old / name).write_bytes(name.encode())
    unconfirmed = run("import", "old", "--url", "new")
    assert unconfirmed.code == 2
    assert [row[0] for row in rows(unconfirmed.out)[1:]] == [
        "churn_v1.pkl",
        "churn_v2.joblib",
        "churn_v10.pkl",
    ]
    assert not (tmp_path / "new").exists()
    done = run("import", "old", "--url", "new", "--yes")
    assert done.out.splitlines()[-1] == "churn_v10.pkl is churn/3"
    registry = detent.connect("new")
    assert registry.version("churn/3").note is not None
    assert "churn_v10.pkl" in str(registry.version("churn/3").note)
    with pytest.raises(detent.RefusedError):
        registry.load("churn/1")


def test_export_writes_checked_files(run: Run, registry: detent.Registry, tmp_path: Path) -> None:
    assert run("export", "churn/2", "out").code == 0
    assert (tmp_path / "out" / "model2.bin").read_bytes() == b"weights" * 2
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["format"] == "files"
    assert run("export", "churn/2", "out").code == 5


def test_damaged_bytes_are_found_and_restored(
    run: Run, registry: detent.Registry, spoil: Callable[[str, bytes], None], tmp_path: Path
) -> None:
    spoil(registry.show("churn/2").manifest.files[0].digest, b"weights" + b"Weights")
    broken = run("verify")
    assert broken.code == 7
    assert "churn/2 model2.bin" in broken.out
    assert run("verify", "churn/1").code == 0
    assert run("repair", "--from", str(tmp_path / "nowhere")).code == 4
    assert run("repair", "--from", ".").code == 0
    assert run("verify").code == 0


def test_evaluate_and_compare_from_files(run: Run, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"x": rng.normal(size=60), "noise": rng.normal(size=60)})
    table["y"] = (table["x"] > 0).astype(int)
    table.to_csv("holdout.csv", index=False)
    table.to_parquet("holdout.parquet", index=False)
    registry = detent.connect(".detent", user="ana")
    registry.register("sign", GaussianNB().fit(table[["x", "noise"]][:5], table["y"][:5]))
    registry.register("sign", GaussianNB().fit(table[["x", "noise"]], table["y"]))
    for version in ("sign/1", "sign/2"):
        result = run("evaluate", version, "--data", "holdout.csv", "--target", "y")
        assert result.code == 0, result.err
        assert f"{version} on holdout (60 rows): accuracy" in result.out
    compared = run("compare", "sign/1", "sign/2")
    assert rows(compared.out)[1][0] == "accuracy"
    assert "rows differently" in compared.err
    both = ("evaluate", "sign/1", "sign/2", "--data", "holdout.parquet", "--target", "y")
    result = run(*both, "--json")
    assert result.code == 0, result.err
    found = json.loads(result.out)
    assert [one["version"] for one in found["evaluations"]] == [1, 2]
    assert "evaluation" not in found
    assert run(*both).out.count("on holdout (60 rows)") == 2
    wrong = run("evaluate", "sign/1", "--data", "holdout.csv", "--target", "z")
    assert wrong.code == 4
    assert "has no column `z`" in wrong.err
    assert run("evaluate", "sign/1", "--data", "no.csv", "--target", "y").code == 4
    assert run("compare", "sign/1", "sign/2", "--dataset", "other").code == 4


def test_policy_and_gate(run: Run, registry: detent.Registry, tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text('[[rule]]\nname = "at_least_as_good"\n')
    assert run("policy", "set", "churn@production", "policy.toml").code == 0
    assert "at_least_as_good" in run("policy", "show", "churn@production").out
    asked = run("gate", "churn/3", "production")
    assert asked.code == 9
    assert asked.out.startswith("inconclusive: 0 of 1 rules hold\n")
    refused = run("activate", "churn/3", "production")
    assert refused.code == 9
    assert "was not evaluated" in refused.err
    assert "inconclusive" in run("decision", "1").out
    (tmp_path / "bad.toml").write_text('[[rule]]\nname = "beter"\n')
    assert run("policy", "set", "churn@production", "bad.toml").code == 2


def test_audit_of_one_type(run: Run, registry: detent.Registry) -> None:
    found = json.loads(run("audit", "--type", "AliasActivated", "--json").out)["events"]
    types = [event.type for event in registry.audit()]
    assert len(found) == types.count("AliasActivated") > 0
    assert {event["type"] for event in found} == {"AliasActivated"}


def test_audit(run: Run, registry: detent.Registry) -> None:
    assert rows(run("audit", "--limit", "1").out)[1][3] == "AliasActivated"
    assert rows(run("audit", "--by", "nobody").out)[1:] == []
    whole = run("audit", "--verify")
    assert whole.code == 0
    assert "6 events, chain unbroken" in whole.out


def test_show_and_diff(run: Run, registry: detent.Registry) -> None:
    shown = run("show", "churn@production")
    assert shown.out.startswith("churn/2, active in production\n")
    assert "run 2" in shown.out
    assert run("show", "churn/2", "--card").out.startswith("# churn/2\n")
    assert run("diff", "churn/1", "churn/2").code == 0
    assert run("doctor").code == 0
    assert run("init").out.endswith("is a registry already; nothing was changed\n")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["stauts"], 2, "did you mean `status`?"),
        (["show", "chrn/1"], 4, "did you mean `churn`?"),
        (["show", "churn/9"], 4, "model `churn` has no version 9: the newest is 3"),
        (["history", "churn@prodution"], 4, "did you mean `production`?"),
        (["show", "churn@latest"], 2, "`latest` is not an alias"),
        (["activate", "churn/1", "v7"], 2, "reads as a version"),
        (["rollback", "churn"], 2, "is not an alias"),
        (["versions", "churn", "--limit", "many"], 2, "invalid int value"),
        (["activate", "churn/1"], 2, "required: ALIAS"),
        (["decision", "99"], 4, "there is no decision 99"),
        (["activate", "churn/1", "production", "--expected", "1"], 5, "moved to version 2"),
        (["status", "--url", "s3://bucket"], 2, "is not a kind of registry"),
        (["status", "--url", "nowhere"], 4, "there is no registry at"),
        ([], 0, ""),
    ],
)
def test_errors_say_what_is_true_and_what_to_do(
    run: Run, registry: detent.Registry, arguments: list[str], code: int, message: str
) -> None:
    result = run(*arguments)
    assert result.code == code
    assert message in result.err
    if code:
        assert result.out == ""
        assert result.err.startswith("error: ")
        assert "Traceback" not in result.err


def test_json_of_each_command_has_a_schema(run: Run, registry: detent.Registry) -> None:
    for command in (
        ["status"], ["history", "churn@production"], ["models"], ["versions", "churn"],
        ["show", "churn/1"], ["diff", "churn/1", "churn/2"], ["audit"], ["audit", "--verify"],
        ["gate", "churn/3", "production"], ["policy", "show", "churn@production"],
        ["activate", "churn/3", "production"], ["rollback", "churn@production"],
        ["hold", "churn@production"], ["release", "churn@production"],
        ["deactivate", "churn@production"], ["note", "churn/1", "x"], ["verify"], ["doctor"],
        ["export", "churn/1", "out"], ["prune"], ["withdraw", "churn/3", "-m", "x", "--yes"],
        ["delete", "churn/3", "--yes"], ["init"], ["completion", "bash"],
    ):  # fmt: skip
        result = run(*command, "--json")
        body = json.loads(result.out)
        assert body["schema"] == f"detent.{command[0]}/1"
        assert body["warnings"] == []
        assert result.err == ""
    status = json.loads(run("--json", "status").out)["aliases"][0]
    assert status["alias"] == "production"
    assert status["activation"]["at"].endswith("Z")


def test_json_of_an_error_is_a_problem_on_stderr(run: Run, registry: detent.Registry) -> None:
    result = run("show", "churn/9", "--json")
    assert result.out == ""
    problem = json.loads(result.err)
    assert (problem["title"], problem["status"]) == ("NotFoundError", 404)
    assert problem["hint"] == "list them with `detent versions churn`"


def test_notes_cannot_steer_a_terminal(run: Run, registry: detent.Registry) -> None:
    registry.note("churn/1", "\x1b[31mred\x07\nand\ttabs")
    out = run("versions", "churn").out
    assert "\x1b" not in out
    assert len(rows(out)) == 4
    assert {len(row) for row in rows(out)} == {10}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_begins_with_an_example(run: Run, name: str, capsys: Any) -> None:
    with pytest.raises(SystemExit) as stopped:
        run(name, "--help")
    assert stopped.value.code == 0
    assert capsys.readouterr().out.startswith(f"  detent {name}")
    assert COMMANDS[name][1] in GROUPS


def test_every_change_has_a_dry_run() -> None:
    for name in COMMANDS:
        options = make_parser(name, load(name)).format_help()
        changes = COMMANDS[name][1] == "change" or name in ("register", "import", "prune", "repair")
        assert ("--dry-run" in options) >= changes, name


def test_every_command_has_its_paragraph() -> None:
    page = (Path(__file__).parents[3] / "docs" / "cli.md").read_text()
    titles = [line[4:].strip("`") for line in page.splitlines() if line.startswith("### ")]
    assert sorted(titles) == sorted(COMMANDS)


def test_overview_lists_every_command(run: Run) -> None:
    out = run("--help").out
    assert all(f"\n  {name} " in out for name in COMMANDS)
    assert run("--version").out.startswith("detent 0.")


@pytest.mark.parametrize("registry", ["folder", "server"], indirect=True)
def test_servers_that_cannot_be_asked_for_are_not_known(
    registry: detent.Registry, tmp_path: Path, run: Run
) -> None:
    registry._stores.metadata.servers.remove_servers("nobody")  # makes the file
    registry.close()
    with closing(sqlite3.connect(tmp_path / ".detent" / "serving.db")) as busy:
        busy.execute("PRAGMA locking_mode=EXCLUSIVE")
        busy.execute("DELETE FROM server")
        busy.commit()  # and keeps the file to itself
        result = run("status")
    assert result.code == 0
    assert "\tnot known\t" in result.out
    assert "which servers answer with what is not known" in result.err
    assert "not known" not in run("status").out
