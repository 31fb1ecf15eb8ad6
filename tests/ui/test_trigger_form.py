"""The form of **Trigger DAG** that is made of a notebook's controls, in a browser."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import expect

from dev.browser import Browser
from tests.shared_airflow import SharedAirflow
from tests.ui.conftest import TIMEOUT
from tests.ui.users import ADMIN

pytestmark = pytest.mark.browser

DAG_ID = "datalore_catalog"
SHOWN = 60_000


def test_the_form_has_a_field_for_each_control_and_its_values_reach_the_notebook(
    airflow: SharedAirflow, browser: Browser
) -> None:
    size = {"width": 1280, "height": 1400}
    with browser.page(airflow.url, token=airflow.log_in(ADMIN), viewport=size) as page:
        page.goto(f"{airflow.url}/dags/{DAG_ID}")
        page.get_by_role("button", name="Trigger").first.click(timeout=SHOWN)
        form = page.get_by_role("dialog")
        for title in ("Region", "Products", "Since", "Number of best days", "Include tax", "Title of the report"):
            expect(form.get_by_text(title, exact=False).first).to_be_visible(timeout=SHOWN)
        expect(form.locator("#element_since")).to_have_value("2026-01-01")
        expect(form.locator("#element_since")).to_have_attribute("type", "date")
        form.locator("#element_since").fill("2026-03-01")
        # What looks like another type stays a text.
        form.locator("#element_title").fill("007")
        form.locator("#element_title").press("Tab")
        known = {run["dag_run_id"] for run in runs(airflow)}
        form.get_by_role("button", name="Trigger").click()
        expect(form).to_be_hidden(timeout=SHOWN)
    [run] = [each for each in runs(airflow) if each["dag_run_id"] not in known]
    assert airflow.wait_for_run(DAG_ID, run["dag_run_id"], TIMEOUT) == "success"
    started = airflow.xcom(DAG_ID, run["dag_run_id"], "revenue", "outputs")
    assert started["days"] == 28
    assert all(day.startswith("2026-03-") for day in started["best"])
    assert len(started["best"]) == 3
    assert json.dumps(run["conf"]["title"]) == '"007"'


def runs(airflow: SharedAirflow) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = airflow.request("GET", f"/dags/{DAG_ID}/dagRuns")["dag_runs"]
    return found
