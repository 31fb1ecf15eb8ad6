"""Takes the pictures of errors in docs/images: failures provoked in a real Airflow, as its log view shows them."""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from dev.browser import Browser, find_browser
from dev.processes import interrupted_once
from tests.failures import play
from tests.failures.hosts import Hosts
from tests.failures.screen import SIZE
from tests.failures.table import TABLE
from tests.shared_airflow import ROOT, SharedAirflow

if TYPE_CHECKING:
    from playwright.sync_api import Page

PICTURES = {
    "error-wrong-token": "wrong_token",
    "error-token-expired": "token_expired",
    "error-notebook-gone": "notebook_gone",
    "error-wrong-parameter": "wrong_parameter",
    "error-unknown-host": "unknown_host",
    "error-outage": "outage",
    "error-time-limit": "time_limit",
    "error-key-error": "key_error",
    "error-kernel-died": "kernel_died",
    "error-response-lost": "response_lost",
}
"""The task of the DAG `failures` for each picture."""

COLOURS = 64
LOG = {"x": 360, "y": 300, "width": 1030, "height": 585}
"""The part of the window that holds the log."""

_SHORTEN_PATHS = """
() => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    node.data = node.data.replace(/\\/\\S*?\\/(?=(?:airflow|airflow_provider_datalore)\\/\\S+\\.py)/g, "…/");
  }
}
"""
"""Whose machine the pictures were taken on is of no interest."""


def take(page: Page, path: Path) -> None:
    """Take a picture of the log that a page shows."""
    from PIL import Image

    page.evaluate(_SHORTEN_PATHS)
    picture = Image.open(io.BytesIO(page.screenshot(animations="disabled", clip=LOG)))  # type: ignore[arg-type]
    picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    sys.stdout.write(f"  {path}, {path.stat().st_size // 1024} KiB\n")
    sys.stdout.flush()


def take_failures(executable: str, images: Path) -> None:
    """Provoke the failures, and take their pictures.

    :param executable: the browser.
    :param images: where the pictures go.
    """
    with tempfile.TemporaryDirectory(prefix="failure-screenshots-") as folder:
        (Path(folder) / "airflow").mkdir()
        with SharedAirflow(Path(folder) / "airflow") as airflow, Hosts(Path(folder)) as hosts:
            airflow.wait_for_its_dags()
            run_id = play.provoke(airflow, hosts)
            cleared = play.clear_while_waiting(airflow)
            play.wait_until_all_failed(airflow, run_id)
            failures = {failure.task_id: failure for failure in TABLE}
            token = play.log_in(airflow)
            with Browser(executable) as browser, browser.page(airflow.url, token=token, viewport=SIZE) as page:
                for name, task_id in PICTURES.items():
                    play.open_log(airflow, page, run_id, failures[task_id])
                    take(page, images / f"{name}.png")
                play.open_cleared_log(airflow, page, cleared)
                take(page, images / "error-cleared.png")


def main() -> None:
    parser = argparse.ArgumentParser(description="Take the pictures of errors in docs/images.")
    parser.add_argument("--into", type=Path, default=ROOT / "docs" / "images", help="write to this folder instead")
    options = parser.parse_args()
    executable = find_browser()
    if executable is None:
        sys.exit("No browser found: install one (apt-get install chromium), or put a Chromium or Chrome on the PATH.")
    with interrupted_once("Interrupted. Stopping Airflow and the emulator, which takes a few seconds."):
        take_failures(executable, options.into)


if __name__ == "__main__":
    main()
