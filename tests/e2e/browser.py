"""A real browser, and all that a page asks for and complains of."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import ConsoleMessage, Page, sync_playwright

PROGRAMMES = ("chromium", "chromium-browser")
SECONDS = 30


@dataclass
class Looked:
    """A page, the hosts that it has asked, and what went wrong on it."""

    page: Page
    hosts: set[str] = field(default_factory=set)
    complaints: list[str] = field(default_factory=list)

    def listen(self) -> None:
        self.page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        self.page.on("requestfailed", lambda request: self.complaints.append(f"failed: {request.url}"))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._said)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)


@contextmanager
def looked_at(url: str, *, width: int = 1280, height: int = 900) -> Iterator[Looked]:
    """The page at ``url``, in a browser without a network but for this machine."""
    programme = next((found for name in PROGRAMMES if (found := shutil.which(name))), None)
    if programme is None:
        if os.environ.get("CI"):
            pytest.fail("there is no Chromium: `make browser`")
        pytest.skip("there is no Chromium: `make browser` installs it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=programme, args=["--no-sandbox"])
        try:
            page = browser.new_page(viewport={"width": width, "height": height})
            page.set_default_timeout(SECONDS * 1000)
            looked = Looked(page)
            looked.listen()
            page.goto(url)
            yield looked
        finally:
            browser.close()
