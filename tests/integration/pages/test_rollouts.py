"""The pages of rollouts: how one goes, what may be done to it, and that pages decide nothing."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import msgspec
import pytest
from playwright.sync_api import Browser, Page
from tests.integration.browser import NEEDS_BROWSER, Clicks, violations
from tests.serving.conftest import (
    Starter,
    free_port,
    make_registry,
    starting,
    tensor,
    wait_until,
)
from tests.unit.rollout.test_predictions import make_record

import detent
from detent import Drift, FeatureDrift, Phase, Registry, Rollout, Signal
from detent.metadata.rollouts import Progress
from detent.registry.stores import Stores
from detent.testing.registries import register_bytes

pytestmark = NEEDS_BROWSER


def answer(
    registry: Registry, stores: Stores, rollout: Rollout, *, n: int, fails: int = 0
) -> Rollout:
    """Have both versions answer requests, the candidate unseen, and count them."""
    stores.predictions.write(
        [
            make_record(rollout, f"r{i}", shadow_error="RuntimeError: oh" if i < fails else None)
            for i in range(n)
        ]
    )
    return registry.drive_rollout(rollout.id)


def test_rolling_out_takes_four_clicks(page: Page, url: str, registry: Registry) -> None:
    click = Clicks(page)
    page.goto(url)
    click("link", "churn")
    click("link", "Roll out…")
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("radio", name=re.compile(r"^v1")).check()
    click.n += 1
    click("button", "Start", within=dialog)
    page.get_by_role("heading", name="v1 into production: shadow").wait_for()
    assert click.n == 4
    rollout = registry.rollout("churn@production")
    assert (rollout.candidate, rollout.by, rollout.phase) == (1, "ana", "shadow")
    assert page.url.endswith(f"/models/churn/rollouts/{rollout.id}")
    assert rollout.plan == detent.Plan()
    page.goto(f"{url}/models/churn")  # where nobody starts a second one
    assert page.get_by_role("link", name="Roll out…").count() == 0
    page.get_by_role("link", name="v1 is being rolled out: shadow").click()
    page.get_by_role("heading", name="v1 into production: shadow").wait_for()


def test_a_plan_that_cannot_be_followed_is_said_and_kept(
    page: Page, url: str, registry: Registry
) -> None:
    page.goto(f"{url}/models/churn/aliases/production/rollout")
    page.get_by_text("Plan: unseen 1h").click()
    page.get_by_label("Unseen for").fill("soon")
    page.get_by_label("Requests of each").fill("many")
    page.get_by_role("button", name="Start").click()
    told = page.get_by_role("alert").inner_text()
    assert "'soon' is not a duration" in told
    assert "nothing was started" in told
    page.get_by_text("Plan: unseen soon").click()
    assert page.get_by_label("Requests of each").input_value() == "many"
    page.get_by_label("Unseen for").fill("2h")
    page.get_by_role("button", name="Start").click()
    page.get_by_text("'many': a whole number is expected").wait_for()
    page.get_by_text("Plan: unseen 2h").click()
    page.get_by_label("Requests of each").fill("20")
    page.get_by_role("button", name="Start").click()
    page.get_by_role("heading", name="v3 into production: shadow").wait_for()
    plan = registry.rollout("churn@production").plan
    assert (plan.shadow_s, plan.step_requests) == (7200, 20)


def test_an_alias_that_moved_meanwhile_starts_nothing(
    page: Page, url: str, registry: Registry
) -> None:
    page.goto(f"{url}/models/churn/aliases/production/rollout")
    registry.activate("churn/1", "production", reason="another plan")
    page.get_by_role("button", name="Start").click()
    told = page.get_by_role("alert").inner_text()
    assert re.fullmatch(
        r"production moved from v2 to v1 at \d\d:\d\d:\d\d UTC \(ana\) while this page was open\."
        r" Nothing was changed\.",
        told.strip(),
    )
    assert registry.rollouts() == []
    assert "v1 is active." in page.inner_text("main")  # the new state, and the form anew


def test_before_the_first_request_it_says_how_to_send_one(
    page: Page, url: str, registry: Registry, stores: Stores
) -> None:
    rollout = registry.start_rollout("churn/3", "production", labels="none")
    page.goto(f"{url}/models/churn/rollouts/{rollout.id}")
    text = page.inner_text("main")
    assert "No requests yet. None of churn@production was ever kept." in text
    assert "curl localhost:8080/v2/models/churn/infer" in text
    assert "detent serve churn@production" in text  # nobody answers
    stores.predictions.write([make_record(rollout, "a")])
    registry.stop_rollout(rollout.id)
    again = registry.start_rollout("churn/3", "production", labels="none")
    page.goto(f"{url}/models/churn/rollouts/{again.id}")
    page.get_by_text("The last one of churn@production came 1970-01-01 00:00 UTC").wait_for()


def test_fresh_numbers_come_by_themselves(
    page: Page, url: str, registry: Registry, stores: Stores
) -> None:
    rollout = registry.start_rollout("churn/3", "production", labels="none")
    page.goto(f"{url}/models/churn/rollouts/{rollout.id}")
    page.get_by_text("No requests yet").wait_for()
    page.get_by_role("link", name="Pause…").focus()
    answer(registry, stores, rollout, n=40)
    page.get_by_role("region", name="What is watched").wait_for()
    row = page.get_by_role("region", name="Requests per version").get_by_role("row").nth(1)
    assert row.inner_text().split() == ["v2", "active", "40", "–", "0"]
    assert page.evaluate("document.activeElement.textContent") == "Pause…"
    assert "about" in page.inner_text("main")  # how many more requests decide
    page.get_by_text("In the phases before").wait_for(state="hidden")
    told = page.get_by_role("region", name="What is watched").inner_text()
    assert "error rate" in told
    assert "not decided yet" in told


def test_a_part_that_has_not_changed_is_not_sent_again(
    page: Page, url: str, registry: Registry, stores: Stores
) -> None:
    rollout = registry.start_rollout("churn/3", "production", labels="none")
    answer(registry, stores, rollout, n=40)
    now = f"{url}/models/churn/rollouts/{rollout.id}/now"
    tag = page.request.get(now).headers["etag"]
    again = page.request.get(now, headers={"If-None-Match": tag})
    assert again.status == 304
    answer(registry, stores, rollout, n=10)
    assert page.request.get(now, headers={"If-None-Match": tag}).status == 200


def test_pausing_resuming_advancing_and_stopping(
    page: Page, url: str, registry: Registry, stores: Stores
) -> None:
    rollout = registry.start_rollout("churn/3", "production", labels="none")
    page.goto(f"{url}/models/churn/rollouts/{rollout.id}")

    def press(link: str, button: str, reason: str = "") -> None:
        page.get_by_role("link", name=link, exact=True).click()
        dialog = page.get_by_role("dialog")
        if reason:
            dialog.get_by_label("Reason").fill(reason)
        dialog.get_by_role("button", name=button, exact=True).click()
        dialog.wait_for(state="detached")

    press("Pause…", "Pause", "a holiday")
    page.get_by_text("a holiday. Shares stay as they are").wait_for()
    assert registry.rollout(rollout.id).status == "paused"
    press("Resume…", "Resume")
    page.get_by_role("heading", name="shadow", exact=False).wait_for()
    assert registry.rollout(rollout.id).status == "running"
    press("Advance…", "Advance")
    page.get_by_role("heading", name="canary 1%").wait_for()
    press("Stop and roll back…", "Stop and roll back", "too slow")
    page.get_by_text("v2 is active in production now.").wait_for()
    assert "too slow" in page.inner_text("main")
    ended = registry.rollout(rollout.id)
    assert (ended.status, ended.why) == ("stopped", "too slow")
    assert page.get_by_role("link", name="Pause…").count() == 0
    for action in ("pause", "resume", "advance", "stop"):
        answered = page.goto(f"{page.url.partition('?')[0]}/{action}")
        assert answered is not None
        assert answered.status == 409
        page.get_by_text("has ended: stopped; nothing was changed").wait_for()
        page.go_back()


def test_it_works_without_scripts(browser: Browser, url: str, registry: Registry) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{url}/models/churn")
        page.get_by_role("link", name="Roll out…").click()
        page.get_by_role("radio", name="never").check()
        page.get_by_role("button", name="Start").click()
        page.get_by_role("link", name="Advance…").click()
        page.get_by_role("button", name="Advance").click()
        assert "canary 1%" in page.inner_text("h1")
        page.get_by_role("link", name="Stop and roll back…").click()
        page.get_by_role("button", name="Stop and roll back").click()
        assert "stopped" in page.inner_text("h1")
    assert registry.rollout("churn@production").status == "stopped"


def test_of_two_who_advance_one_is_told(page: Page, url: str, registry: Registry) -> None:
    rollout = registry.start_rollout("churn/3", "production", labels="none", canary="10%,50%")
    registry.advance_rollout(rollout.id)
    page.goto(f"{url}/models/churn/rollouts/{rollout.id}/advance")
    assert "canary 10% → canary 50%" in page.inner_text("h1")
    registry.advance_rollout(rollout.id)
    page.get_by_role("button", name="Advance").click()
    told = page.get_by_role("alert").inner_text()
    assert re.search(r"is canary 50% since \d\d:\d\d:\d\d UTC", told)
    assert "Nothing was changed." in told
    assert registry.rollout(rollout.id).weight == 0.5
    assert "canary 50%" in page.inner_text("h1")


def test_a_gate_that_says_no_is_shown(page: Page, url: str, registry: Registry) -> None:
    registry.set_policy("churn@production", {"rule": [{"name": "at_least_as_good"}]})
    rollout = registry.start_rollout("churn/3", "production", labels="none", canary="")
    page.goto(f"{url}/models/churn/rollouts/{rollout.id}/advance")
    page.get_by_role("button", name="Advance").click()
    told = page.get_by_role("alert").inner_text()
    assert told.startswith("Not activated:")
    assert "v2 is still active." in told
    assert page.locator("details.rule[open]").count() == 1
    assert registry.version("churn@production").number == 2


def test_one_that_was_taken_back_names_its_decision(
    page: Page, url: str, registry: Registry, stores: Stores
) -> None:
    rollout = registry.start_rollout("churn/3", "production", labels="none")
    ended = answer(registry, stores, rollout, n=40, fails=40)
    assert ended.status == "rolled_back"
    page.goto(f"{url}/models/churn/rollouts/{rollout.id}")
    assert "v3 was taken back. v2 is active in production now." in page.inner_text("main")
    assert "✗ beyond the limit" in page.inner_text("main")
    page.get_by_role("link", name=f"Decision {ended.decision}").click()
    page.get_by_role("heading", name=f"Decision {ended.decision}: fail").wait_for()
    assert page.locator("details.rule[open]").inner_text().startswith("✗ error_rate")
    page.goto(f"{url}/models/churn")  # the history says the same, and no gate was passed
    assert "gate passed" not in page.inner_text("main")
    page.get_by_text("Rollouts", exact=True).click()
    assert "rolled back" in page.get_by_role("region", name="Rollouts into").inner_text()


def test_what_has_moved_is_told_the_most_moved_first(
    page: Page, url: str, registry: Registry, stores: Stores
) -> None:
    rollout = registry.start_rollout("churn/3", "production", labels="none")
    features = tuple(
        FeatureDrift(
            name=f"input {i}",
            distance=i / 20,
            chance=0.5,
            cells=("below 3", "3 and above"),
            before=(0.5, 0.5),
            now=(0.25, 0.75),
        )
        for i in range(11, 1, -1)
    )
    drift = Drift(
        reference="holdout", n_reference=900, n=400, n_features=12, n_moved=1, features=features
    )
    scores = Signal(
        name="score_drift",
        phase=Phase.SHADOW,
        verdict="drift",
        text="moved",
        n=400,
        evidence={"value": 0.9, "threshold": 0.1},
    )
    state = msgspec.to_builtins({"signals": [scores], "drift": drift})
    progress = Progress(rollout=rollout.id, revision=1, driver=None, driven_until_us=0, state=state)
    with stores.metadata.write() as tables:
        assert tables.put_progress(progress, expected=0)
    page.goto(f"{url}/models/churn/rollouts/{rollout.id}")
    rows = page.get_by_role("region", name="Drift").locator("tbody tr").all_inner_texts()
    assert len(rows) == 10
    assert rows[0].split("\t") == ["scores", "0.9", "0.1", "400", "! moved", "–"]
    assert rows[1].split("\t") == [
        *("input 11", "0.55", "0.5", "400", "! moved"),
        features[0].most,
    ]
    assert "● not moved" in rows[3]


def test_a_reader_sees_all_and_whom_to_ask(page: Page, url: str, registry: Registry) -> None:
    rollout = registry.start_rollout("churn/3", "production", labels="none")
    secret = registry.create_token("rea", role="reader").secret
    registry.create_token("bo", role="maintainer", models=["churn"])
    registry.create_token("cy", role="maintainer", models=["other"])
    page.context.add_cookies([{"name": "detent_session", "value": secret, "url": url}])
    page.goto(f"{url}/models/churn/rollouts/{rollout.id}")
    page.get_by_text("This needs the role maintainer on churn; ask: bo.").wait_for()
    for name in ("Pause…", "Advance…", "Stop and roll back…"):
        assert page.get_by_role("button", name=name).is_disabled()


@pytest.mark.parametrize("path", ["/models/churn/rollouts/9", "/models/wine/rollouts/1"])
def test_one_of_another_model_is_not_found(
    page: Page, url: str, registry: Registry, stores: Stores, path: str
) -> None:
    register_bytes(stores, "wine", b"wine")
    registry.start_rollout("churn/3", "production")
    for ending in ("", ".json", "/now", "/stop"):
        answered = page.request.get(url + path + ending)
        assert answered.status == 404


def test_json_tells_the_same(page: Page, url: str, registry: Registry, stores: Stores) -> None:
    rollout = registry.start_rollout("churn/3", "production", labels="none")
    answer(registry, stores, rollout, n=40)
    told = page.request.get(f"{url}/models/churn/rollouts/{rollout.id}.json").json()
    assert told["rollout"]["candidate"] == 3
    assert [signal["name"] for signal in told["signals"]] == ["error_rate"]
    assert [row["n"] for row in told["requests"]] == [40, 0]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_readable_by_all(
    browser: Browser, url: str, axe: str, scheme: Any, registry: Registry, stores: Stores
) -> None:
    ended = registry.start_rollout("churn/3", "production", labels="none")
    answer(registry, stores, ended, n=40, fails=40)
    register_bytes(stores, "churn", b"another")
    rollout = registry.start_rollout("churn/4", "production", labels="none")
    answer(registry, stores, rollout, n=40)
    here = f"models/churn/rollouts/{rollout.id}"
    paths = [(here, "Stop and roll back…"), (f"models/churn/rollouts/{ended.id}", "")]
    paths += [("models/churn", ""), ("", ""), ("models/churn/decisions/1", "")]
    with browser.new_context(color_scheme=scheme, bypass_csp=True) as context:
        page = context.new_page()
        page.set_viewport_size({"width": 320, "height": 640})
        for path, opens in paths:
            page.goto(f"{url}/{path}")
            assert page.evaluate("document.documentElement.scrollWidth") <= 320, path
            if opens:
                page.get_by_role("link", name=opens).click()
                page.get_by_role("dialog").wait_for()
            assert violations(page, axe) == [], path
            assert page.title() != "owned"
        registry.stop_rollout(rollout.id)
        page.goto(f"{url}/models/churn")
        page.get_by_role("link", name="Roll out…").click()
        page.get_by_role("dialog").get_by_text("Plan: unseen").click()
        assert violations(page, axe) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= 320


@contextmanager
def web(registry: Registry, folder: Path) -> Iterator[str]:
    """Run `detent web` as a process and give its URL."""
    port = free_port()
    with (folder / "web.log").open("w") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "detent", "web"),
                *("--url", registry.location, "--port", str(port)),
            ],
            stdout=log,
            stderr=log,
        )
        url = f"http://127.0.0.1:{port}"

        def is_up() -> bool:
            try:
                with urlopen(f"{url}/health", timeout=10) as answered:
                    return bool(answered.status == 200)
            except OSError:
                return False

        try:
            wait_until(is_up)
            yield url
        finally:
            process.terminate()
            process.wait()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Starter]:
    with starting(tmp_path) as starter:
        yield starter


def test_pages_ask_and_the_serving_process_acts(page: Page, tmp_path: Path, start: Starter) -> None:
    """`detent web` and `detent serve` are two processes, and share nothing but the registry."""
    registry = make_registry(tmp_path / "registry")
    server = start(registry, "churn")
    versions: set[str] = set()

    def ask() -> None:
        answered = server.infer(tensor())
        assert answered.status == 200
        versions.add(json.loads(answered.body)["model_version"])

    def asking(condition: Any) -> None:
        def ask_then() -> bool:
            ask()
            return bool(condition())

        wait_until(ask_then, seconds=90)

    with web(registry, tmp_path) as url:
        page.goto(f"{url}/models/churn/aliases/production/rollout?version=1")
        page.get_by_role("radio", name="never").check()
        page.get_by_text("Plan: unseen").click()
        page.get_by_label("Then these shares").fill("50%")
        page.get_by_label("Each for").fill("1h")
        page.get_by_role("button", name="Start").click()
        page.get_by_role("heading", name="v1 into production: shadow").wait_for()
        assert "detent serve" not in page.inner_text("main")
        number = int(page.url.rpartition("/")[2])
        # The server sees it, loads the candidate, asks it unseen, counts, and the page tells.
        asking(lambda: (registry.rollout(number).counts or {}).get("in_shadow", 0) >= 5)
        assert versions == {"2"}
        page.get_by_role("region", name="Requests per version").wait_for()
        page.get_by_role("link", name="Advance…").click()
        page.get_by_role("dialog").get_by_role("button", name="Advance").click()
        page.get_by_role("heading", name="canary 50%").wait_for()
        asking(lambda: versions == {"1", "2"})
        page.get_by_role("link", name="Stop and roll back…").click()
        page.get_by_role("dialog").get_by_role("button", name="Stop and roll back").click()
        page.get_by_text("v2 is active in production now, on 1 of 1 server").wait_for()
        versions.clear()
        for _ in range(20):
            ask()
        assert versions == {"2"}
