"""The API reference as a person sees it, in a real browser and without any other server."""

from urllib.parse import urlsplit

import pytest
import requests

from e2e.browser import looked_at
from e2e.shell import Town

LINE_BREAK = "<br"


@pytest.mark.parametrize("path", ["/docs", "/docs/"])
def test_the_reference_shows_every_call_and_asks_no_other_server(town: Town, path: str) -> None:
    document = requests.get(f"{town.system.url}/openapi.json", timeout=10).json()
    calls = sum(len(operations) for operations in document["paths"].values())
    with looked_at(town.system.url + path) as seen:
        seen.page.wait_for_selector(".opblock")
        assert seen.page.locator(".opblock").count() == calls
        assert "Collect Jobs" in seen.page.inner_text(".info .title")
        assert "Idempotency-Key" in seen.page.inner_text(".info .description")
        assert LINE_BREAK not in seen.page.inner_text("body")
    assert seen.hosts == {urlsplit(town.system.url).netloc}
    assert seen.complaints == []


def test_a_call_shows_its_text_and_examples(town: Town) -> None:
    with looked_at(f"{town.system.url}/docs") as seen:
        seen.page.click("#operations-jobs-jobs_create_post .opblock-summary-control")
        seen.page.wait_for_selector(".opblock.is-open .examples-select")
        opened = seen.page.locator(".opblock.is-open")
        text = opened.inner_text()
        assert "Create a job" in text
        assert opened.locator(".opblock-description code", has_text="validate_only=true").count() == 1
        assert "an upload" in text
        assert "visits" in text
        assert "awaiting_confirmation" in text
    assert seen.complaints == []


def test_a_key_that_is_entered_is_sent_to_this_gateway_alone(town: Town) -> None:
    with looked_at(f"{town.system.url}/docs") as seen:
        seen.page.click(".authorize")
        seen.page.fill(".modal-ux input[type=text]", town.keys["COLLECT_API_KEY"])
        seen.page.click(".modal-ux .auth-btn-wrapper .authorize")
        seen.page.click(".modal-ux .btn-done")
        seen.page.click("#operations-organisation-organisation_show_get .opblock-summary-control")
        seen.page.click(".opblock.is-open .try-out__btn")
        with seen.page.expect_response(lambda answer: answer.url.endswith("/v1/organisation")) as answered:
            seen.page.click(".opblock.is-open .execute")
        assert answered.value.status == 200
        seen.page.wait_for_selector(".opblock.is-open .live-responses-table")
    assert seen.hosts == {urlsplit(town.system.url).netloc}
    assert seen.complaints == []


def test_the_page_forbids_all_that_it_does_not_need(town: Town) -> None:
    policy = requests.get(f"{town.system.url}/docs", timeout=10).headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert "http" not in policy
    assert "frame-ancestors 'none'" in policy


def test_assets_are_kept_by_the_browser_and_others_are_not_given_out(town: Town) -> None:
    url = f"{town.system.url}/docs/assets"
    first = requests.get(f"{url}/swagger-ui-bundle.js", timeout=10)
    assert (first.status_code, first.headers["Content-Type"]) == (200, "text/javascript; charset=utf-8")
    assert "max-age" in first.headers["Cache-Control"]
    again = requests.get(f"{url}/swagger-ui-bundle.js", headers={"If-None-Match": first.headers["ETag"]}, timeout=10)
    assert again.status_code == 304
    for name in ("nothing.js", "examples.json", "page.html"):
        assert requests.get(f"{url}/{name}", timeout=10).status_code == 404
    assert requests.get(f"{url}/..%2f..%2fapp.py", timeout=10).status_code in {401, 404}
