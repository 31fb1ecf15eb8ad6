from __future__ import annotations

from collections.abc import Callable

import pytest

from dev.browser import Browser
from tests.ui.conftest import ADMIN, AirflowWithLogin, Tab
from tests.ui.notebooks import FAILING

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_look(airflow: AirflowWithLogin, browser: Browser, run_notebook: Callable[..., Tab], theme: str) -> None:
    tab = run_notebook("me/daily_sales", region="West", from_date="2026-03-01", to_date="2026-05-31")
    bad = run_notebook(FAILING, ends="failed")
    for name, each in (("ok", tab), ("bad", bad)):
        r = airflow.session_of(ADMIN).get(each.url)
        print(r.status_code, r.text[:3000])
        r = airflow.session_of(ADMIN).get(each.url + "/notebook?theme=dark")
        print(r.status_code, r.headers, r.text[-3000:])
        with browser.page(airflow.url, token=airflow.log_in(ADMIN), theme=theme, viewport={"width": 1600, "height": 900}) as page:
            page.on("console", lambda m: print("CONSOLE", m.type, m.text[:300]))
            page.goto(each.in_airflow)
            page.wait_for_timeout(8000)
            page.screenshot(path=f"/tmp/shot6-{name}-{theme}.png")
    assert 0
