"""Drives a browser that is installed on this machine, such as Debian's chromium."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OPTIONS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    # Host names for tests, which every machine resolves.
    "--host-resolver-rules=MAP *.elsewhere.example 127.0.0.1",
)


def find_browser() -> str | None:
    """The path of an installed Chromium or Chrome, or None."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


class Browser:
    """A headless browser. Each page has its own profile.

    :param executable: the path that :func:`find_browser` returned
    """

    def __init__(self, executable: str) -> None:
        self._executable = executable

    def __enter__(self) -> Self:
        from playwright.sync_api import sync_playwright

        self._playwright = sync_playwright().start()
        self._browser = self._playwright.chromium.launch(executable_path=self._executable, args=list(OPTIONS))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._browser.close()
        self._playwright.stop()

    @contextmanager
    def page(self, url: str, *, token: str = "", theme: str = "light", **options: Any) -> Iterator[Page]:
        """A page in a new profile.

        :param url: of Airflow; its cookie and theme are set before the page is opened
        :param token: the user's token for Airflow
        :param theme: the user's theme in Airflow, ``light`` or ``dark``
        :param options: options of a Playwright context, such as ``viewport``
        """
        context: BrowserContext = self._browser.new_context(color_scheme="light", **options)
        try:
            if token:
                context.add_cookies([{"name": "_token", "value": token, "url": url}])
            context.add_init_script(
                f"try {{ localStorage.theme ??= {theme!r} }} catch {{ /* no storage without an origin */ }}"
            )
            yield context.new_page()
        finally:
            context.close()
