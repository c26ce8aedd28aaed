"""What a page says when something is in the way: each state in its own words, and what holds."""

import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page
from sklearn.linear_model import LogisticRegression
from tests.integration.browser import NEEDS_BROWSER
from tests.servers.proxy import proxy_to

import detent
from detent import Registry
from detent.blobs.memory import MemoryBlobs
from detent.metadata.postgres import PostgresMetadata
from detent.registry.stores import Stores
from detent.testing.registries import register_bytes, stores_on
from detent.testing.servers import serving
from detent.web.pages import make_site

pytestmark = NEEDS_BROWSER


def test_server_gone(page: Page, stores: Stores) -> None:
    with serving(make_site(stores)) as url, page.expect_response("**/changes.json"):
        page.goto(f"{url}/models/churn")
    page.get_by_text(re.compile(r"Not updating: no answer since .*\. Trying again\.")).wait_for()
    button = page.get_by_role("link", name="Roll back to v1")
    assert button.get_attribute("aria-disabled") == "true"
    button.click(force=True)
    assert page.get_by_role("dialog").count() == 0
    assert "v2 is active" in page.inner_text("main")  # the content stays


def test_changed_meanwhile(page: Page, url: str, stores: Stores) -> None:
    page.goto(f"{url}/models/churn/aliases/production/rollback")
    Registry(stores.acting_as("bo")).activate("churn/3", "production", reason="newer")
    page.get_by_role("button", name="Roll back").click()
    told = page.get_by_role("alert").inner_text().strip()
    assert re.fullmatch(
        r"production moved from v2 to v3 at \d\d:\d\d:\d\d UTC \(bo\) while this page was open\."
        r" Nothing was changed\.",
        told,
    )
    assert "v3 is active in production" in page.inner_text("main")  # the new state
    assert Registry(stores).version("churn@production").number == 3
    page.get_by_label("Active at").fill("2001-01-01")  # and a page that works
    page.get_by_label("Active at").press("Enter")
    page.get_by_text("It held nothing at 2001-01-01").wait_for()


def test_changed_before_the_gate(page: Page, url: str, registry: Registry) -> None:
    page.goto(f"{url}/models/churn/3/activate")
    registry.deactivate("churn@production")
    page.get_by_role("button", name="Activate").click()
    assert "production moved from v2 to no version" in page.get_by_role("alert").inner_text()


def test_refused(page: Page, url: str, registry: Registry) -> None:
    page.goto(f"{url}/models/churn/3/activate")
    registry.set_policy("churn@production", {"rule": [{"name": "size", "max_bytes": 1}]})
    page.get_by_role("button", name="Activate").click()
    told = page.get_by_role("alert").inner_text().strip()
    assert told == "Not activated: 1 of 1 rule failed. v2 is still active."
    assert page.locator("details.rule[open]").inner_text().startswith("✗ size")
    assert registry.version("churn@production").number == 2
    page.goto(f"{url}/models/churn")
    page.get_by_role("link", name=re.compile(r"^decision \d+$")).click()
    assert "fail" in page.inner_text("h1")


def test_may_not(page: Page, url: str, registry: Registry) -> None:
    secret = registry.create_token("rea", role="reader").secret
    for name, models in (("bo", ["churn"]), ("ana", []), ("cy", ["other"])):
        registry.create_token(name, role="maintainer", models=models)
    registry.revoke_token(registry.create_token("di", role="admin").token.id)
    page.context.add_cookies([{"name": "detent_session", "value": secret, "url": url}])
    page.goto(f"{url}/models/churn")
    page.get_by_text("This needs the role maintainer on churn; ask: bo, ana.").wait_for()
    for name in ("Roll back to v1", "Roll out…", "Activate v3…"):
        assert page.get_by_role("button", name=name).is_disabled()
    page.goto(f"{url}/models/churn/1")
    page.get_by_text("This needs the role maintainer on churn; ask: bo, ana.").wait_for()
    # The button is off because the server would refuse.
    page.goto(f"{url}/models/churn/aliases/production/rollback")
    page.get_by_role("button", name="Roll back").click()
    page.get_by_role("heading", name="Refused").wait_for()
    assert registry.version("churn@production").number == 2


def test_store_down(page: Page, postgres_server: str, postgres_url: str) -> None:
    with proxy_to(postgres_server) as proxy:
        schema = postgres_url.partition("schema=")[2]
        metadata = PostgresMetadata(f"{proxy.url}&schema={schema}", timeout_s=2.0, patience_s=0.5)
        stores = stores_on(metadata, MemoryBlobs())
        register_bytes(stores, "churn", b"1")
        with serving(make_site(stores)) as url:
            assert page.request.get(f"{url}/models/churn").status == 200
            proxy.close()
            answered = page.goto(f"{url}/models/churn")
            assert answered is not None
            assert answered.status == 503
            told = page.inner_text("main")
        metadata.close()
    assert "The registry cannot reach its database." in told
    assert "Servers go on answering with the versions they have loaded." in told


def test_corrupt_bytes(page: Page, tmp_path: Path) -> None:
    registry = detent.connect(tmp_path / "registry", user="ana")
    X = np.random.default_rng(0).normal(size=(40, 3))
    for strength in (1.0, 0.5, 0.1):
        model = LogisticRegression(C=strength).fit(X, X[:, 0] > 0)
        registry.register("churn", model, code=tmp_path)
    registry.activate("churn/1", "production")
    registry.activate("churn/2", "production")
    (file,) = registry.show("churn/3").manifest.files
    digest = file.digest.partition(":")[2]
    path = Path(registry.location, "blobs", "sha256", digest[:2], digest[2:])
    path.chmod(0o600)
    path.write_bytes(b"!" * file.size_bytes)
    with (
        registry.follow("churn@production"),
        serving(make_site(registry._stores)) as url,
    ):
        registry.activate("churn/3", "production", wait_s=60)
        page.goto(f"{url}/models/churn")
        told = page.get_by_role("alert").inner_text()
        page.get_by_role("link", name="Roll back to v2").wait_for()
    assert re.search(
        r"v3 was not loaded: 1 of \d+ files? is not what was registered: `model\.skops`\."
        r" v2 can be rolled back to\.",
        told,
    )
    assert "still answers with v2" in told


def test_no_such_thing(page: Page, url: str) -> None:
    answered = page.goto(f"{url}/models/churn/12")
    assert answered is not None
    assert answered.status == 404
    page.get_by_text("churn has no v12; the newest is v3").wait_for()
    page.get_by_role("link", name="v3").click()
    page.get_by_role("heading", name="v3").wait_for()
    for path in ("none", "none/1", "churn/decisions/9", "churn/rollouts/1"):
        answered = page.goto(f"{url}/models/{path}")
        assert answered is not None
        assert answered.status == 404
        page.get_by_role("heading", name="No such thing").wait_for()


@pytest.mark.parametrize("path", ["models/churn/aliases/production/rollback", "sign-in"])
def test_a_form_of_another_page_is_refused(page: Page, url: str, path: str) -> None:
    answered = page.request.post(f"{url}/{path}", form={"key": "made.up", "token": "none"})
    assert answered.status == 403
    assert "the form is too old, or of another page" in answered.text()
