"""Takes the pictures in docs/images: a real Airflow, the emulator and example DAGs in a real browser."""

from __future__ import annotations

import argparse
import contextlib
import io
import secrets
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_provider_datalore.emulator.testing import EmulatorProcess
from dev.browser import Browser, find_browser
from dev.demo import CONF, DAG_ID, DAGS, ROOT, TASK_ID, connection_to
from dev.local_airflow import LocalAirflow
from dev.processes import interrupted_once

if TYPE_CHECKING:
    from playwright.sync_api import Page

IMAGES = ROOT / "docs" / "images"
FAILS = {**CONF, "region": "Atlantis"}
RUN_TIMEOUT = 180.0
SHOWN = 60_000
"""Milliseconds until the subject of a picture must be visible."""
SETTLED = 5_000
"""Milliseconds for which a page may keep loading after that."""
WINDOW = {"width": 1280, "height": 760}
PAGE_DAGS = ("datalore_forecasts", "datalore_sales_report", "datalore_stock_check")
"""Further DAGs, whose runs the page of all notebooks shows."""
COLOURS = 256
"""Number of colours in a picture; fewer colours make smaller files."""


@dataclass(frozen=True)
class Camera:
    """Takes pictures of Airflow's pages.

    :param airflow: the Airflow
    :param browser: the browser
    :param folder: where the pictures go
    """

    airflow: LocalAirflow
    browser: Browser
    folder: Path

    @contextmanager
    def at(self, path: str, theme: str = "light") -> Iterator[Page]:
        """A page of Airflow."""
        with self.browser.page(self.airflow.url, theme=theme, viewport=WINDOW) as page:
            page.goto(self.airflow.url + path)
            yield page

    def tab(self, name: str, run_id: str, ready: str, theme: str = "light") -> None:
        """A picture of the tab of a run.

        :param ready: selector of an element to wait for; in the notebook if it starts with "notebook: "
        """
        path = f"/dags/{DAG_ID}/runs/{quote(run_id)}/tasks/{TASK_ID}/plugin/datalore"
        with self.at(path, theme) as page:
            tab: Any = page.frame_locator("iframe[title='Datalore']")
            if ready.startswith("notebook: "):
                tab = tab.frame_locator("iframe")
            tab.locator(ready.removeprefix("notebook: ")).first.wait_for(timeout=SHOWN)
            self.take(page, name)

    def take(self, page: Page, name: str) -> None:
        """Takes a picture and writes it to a small file."""
        from PIL import Image
        from playwright.sync_api import TimeoutError

        # Airflow's page sends many requests; the page of a running task never stops.
        with contextlib.suppress(TimeoutError):
            page.wait_for_load_state("networkidle", timeout=SETTLED)
        picture = Image.open(io.BytesIO(page.screenshot(animations="disabled")))
        path = self.folder / f"{name}.png"
        picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
        print(f"  {path}, {path.stat().st_size // 1024} KiB", flush=True)


def take_changes(camera: Camera, datalore: EmulatorProcess) -> None:
    """Takes the pictures of a comparison and of the page of all notebooks, after an edit has made a run fail."""
    airflow = camera.airflow
    started = [(dag_id, airflow.trigger(dag_id)) for dag_id in PAGE_DAGS for _ in range(2)]
    started += [(DAG_ID, airflow.trigger(DAG_ID, {**CONF, "region": each})) for each in ("North", "West", "South")]
    for dag_id, run_id in started:
        airflow.wait_for_run(dag_id, run_id, RUN_TIMEOUT)
    datalore.publish_report("me/daily_sales")
    file = datalore.folder / "me" / "daily_sales.ipynb"
    edited = file.read_text().replace('best = daily[\\"revenue\\"].idxmax()', 'best = daily[\\"income\\"].idxmax()')
    file.write_text(edited.replace('groupby(\\"date\\")', 'groupby([\\"date\\"])'))
    failed = airflow.trigger(DAG_ID, {**CONF, "region": "North"})
    airflow.wait_for_run(DAG_ID, failed, RUN_TIMEOUT)
    path = f"/dags/{DAG_ID}/runs/{quote(failed)}/tasks/{TASK_ID}/plugin/datalore"
    for theme in ("light", "dark"):
        with camera.at(path, theme) as page:
            tab = page.frame_locator("iframe[title='Datalore']")
            tab.get_by_role("link", name="the last run that succeeded").click(timeout=SHOWN)
            cells = tab.frame_locator("iframe")
            cells.get_by_text("KeyError").first.wait_for(timeout=SHOWN)
            # With what was edited at the top.
            cells.locator("details.cell", has_text="income").locator("summary").first.evaluate(
                "element => window.scrollTo(0, element.getBoundingClientRect().top + window.scrollY - 8)"
            )
            camera.take(page, f"compare-{theme}")
        with camera.at("/plugin/datalore-notebooks", theme) as page:
            frame = page.frame_locator("iframe[title='Datalore']")
            frame.get_by_text("me/daily_sales").first.wait_for(timeout=SHOWN)
            frame.get_by_text("In Datalore").first.click()
            frame.get_by_text("updated").wait_for(timeout=SHOWN)
            camera.take(page, f"notebooks-{theme}")


def take_all(camera: Camera, let_go: Callable[[], None]) -> None:
    """Takes all pictures of the documentation and the README."""
    airflow = camera.airflow
    went_well = airflow.trigger(DAG_ID, CONF)
    failed = airflow.trigger(DAG_ID, FAILS)
    for run_id in (went_well, failed):
        airflow.wait_for_run(DAG_ID, run_id, RUN_TIMEOUT)
    camera.tab("tab", went_well, "notebook: img")
    for theme in ("light", "dark"):
        camera.tab(f"tab-failed-{theme}", failed, "notebook: .celltag_datalore-failed", theme)
    running = airflow.trigger(DAG_ID, {**CONF, "notebook_id": "me/held"})
    airflow.wait_for_task(DAG_ID, running, TASK_ID, "deferred", RUN_TIMEOUT)
    camera.tab("tab-running", running, ".badge.running")
    let_go()
    airflow.wait_for_run(DAG_ID, running, RUN_TIMEOUT)
    with camera.at(f"/dags/{DAG_ID}/runs/{quote(went_well)}/tasks/{TASK_ID}/details") as page:
        page.get_by_role("link", name="Executed notebook").wait_for(timeout=SHOWN)
        camera.take(page, "links")
    with camera.at("/connections") as page:
        fill_connection_form(page, "https://datalore.example.com", secrets.token_hex(16))
        camera.take(page, "connection")


def fill_connection_form(page: Page, host: str, token: str, conn_id: str = "datalore_default") -> None:
    """Opens Airflow's form for a new connection and fills it in as the README describes."""
    page.get_by_role("button", name="Add Connection").click(timeout=SHOWN)
    form = page.get_by_role("dialog")
    form.locator("input[name='connection_id']").fill(conn_id)
    form.get_by_role("combobox").first.click()
    page.keyboard.type("Datalore")
    page.get_by_role("option", name="Datalore", exact=True).click()
    form.locator("input[name='host']").fill(host)
    form.locator("input[name='password']").fill(token)


def hold(folder: Path) -> Callable[[], None]:
    """Adds a notebook that keeps running until the returned function is called."""
    import nbformat

    gate = folder / "me" / "go"
    parameters = nbformat.v4.new_code_cell('region = from_date = to_date = ""', metadata={"tags": ["parameters"]})
    waits = f"import pathlib, time\nwhile not pathlib.Path({str(gate)!r}).exists(): time.sleep(0.1)"
    cells = [parameters, nbformat.v4.new_code_cell(waits)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    nbformat.write(notebook, folder / "me" / "held.ipynb")
    return gate.touch


def screenshots(executable: str, images: Path, *, only_changes: bool = False) -> None:
    """Starts everything and takes the pictures.

    :param executable: the browser
    :param images: where the pictures go
    :param only_changes: whether to take only those of a comparison and of the page of all notebooks
    """
    images.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="datalore-screenshots-"))) / "notebooks"
        shutil.copytree(DAGS / "notebooks", folder)
        let_go = hold(folder)
        datalore = stack.enter_context(EmulatorProcess(folder))
        connection = connection_to(datalore.url, datalore.token)
        airflow = stack.enter_context(LocalAirflow(DAGS, connections={"datalore_default": connection}))
        airflow.wait_for_dags([DAG_ID])
        browser = stack.enter_context(Browser(executable))
        camera = Camera(airflow, browser, images)
        if not only_changes:
            take_all(camera, let_go)
        take_changes(camera, datalore)


def main() -> None:
    parser = argparse.ArgumentParser(description="Take the pictures in docs/images.")
    parser.add_argument("--into", type=Path, default=IMAGES, help="write to this folder instead of docs/images")
    parser.add_argument("--only-changes", action="store_true", help="take only the last pictures")
    options = parser.parse_args()
    executable = find_browser()
    if executable is None:
        sys.exit("No browser found: install one (apt-get install chromium), or put a Chromium or Chrome on the PATH.")
    with interrupted_once("Interrupted. Stopping Airflow and the emulator, which takes a few seconds."):
        screenshots(executable, options.into, only_changes=options.only_changes)


if __name__ == "__main__":
    main()
