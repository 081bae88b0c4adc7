"""Chromium, as the tests that look at pages in it drive it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

WIDTHS = {"laptop": 1280, "phone": 375, "small": 320}


def want_browser() -> str:
    """The program; without it (or its driver) the test is skipped, and in CI it fails."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is not None and _has_driver():
        return program
    told = "no Chromium (apt-get install chromium) or no driver for it (pip install axe-playwright-python)"
    if os.environ.get("CI"):
        pytest.fail(told)
    pytest.skip(told)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser without a window and without a network."""
    program = want_browser()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


def shown(browser: Browser, path: Path, width: int, **look: Any) -> tuple[Any, list[str]]:
    """A page as it stands at a width, and what it asked the network for."""
    page = browser.new_context(viewport={"width": width, "height": 900}, offline=True, **look).new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: asked.append(message.text))
    page.goto(path.as_uri())
    return page, asked


def violations(page: Any) -> list[str]:
    """What axe-core finds wrong for people who read with other means."""
    from axe_playwright_python.sync_playwright import Axe

    return [f"{each['id']}: {each['nodes'][0]['html']}" for each in Axe().run(page).response["violations"]]


def _has_driver() -> bool:
    from importlib.util import find_spec

    return find_spec("axe_playwright_python") is not None
