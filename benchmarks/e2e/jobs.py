"""A server of jobs that last as long as each request to start one says: for Datalore, dbt Cloud, Databricks and HTTP.

A job's id says when it ends: epoch milliseconds, followed by three digits of a counter. ``GET /timed/<seconds>/<name>``
starts a job of that name when it is first asked for, for what only waits; it is 404 until the job has ended. A run of
Datalore whose id is ``timed-<seconds>-<name>`` starts in the same way.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import ssl
import sys
import time
from pathlib import Path
from typing import Any

import trustme
from aiohttp import web

_counter = itertools.count()
_named: dict[str, int] = {}
routes = web.RouteTableDef()


def start(seconds: float) -> int:
    """Start a job.

    :return: its id.
    """
    return int((time.time() + seconds) * 1000) * 1000 + next(_counter) % 1000


def is_over(job: int) -> bool:
    """Whether a job has ended."""
    return time.time() * 1000 >= job // 1000


def named(name: str, seconds: float) -> int:
    """The job of a name, which starts when it is first asked for."""
    if name not in _named:
        _named[name] = start(seconds)
    return _named[name]


@routes.post("/api/run/v1/notebook")
async def start_notebook(request: web.Request) -> web.Response:
    parameters = {it["name"]: it["value"] for it in (await request.json())["parameters"]}
    return web.json_response({"runId": str(start(float(parameters["seconds"])))})


@routes.get("/api/run/v1/{run_id}")
async def read_notebook(request: web.Request) -> web.Response:
    run_id = request.match_info["run_id"]
    _, _, timed = run_id.partition("timed-")
    job = named(timed, float(timed.partition("-")[0])) if timed else int(run_id)
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    run: dict[str, Any] = {"runId": run_id, "notebookId": "me/sales", "startTime": now, "status": "RUNNING"}
    if is_over(job):
        artifact = {"name": "sales.ipynb", "path": f"/notebook/me/sales/artifacts/{run_id}/sales.ipynb"}
        run |= {"status": "SUCCESS", "endTime": now, "success": True, "artifacts": [artifact]}
    return web.json_response(run)


@routes.post("/api/v2/accounts/{account}/jobs/{job}/run/")
async def start_dbt(request: web.Request) -> web.Response:
    job = start(float((await request.json())["cause"]))
    return web.json_response({"data": {"id": job, "href": f"https://localhost/runs/{job}", "status": 3}})


@routes.get("/api/v2/accounts/{account}/runs/{job}/")
async def read_dbt(request: web.Request) -> web.Response:
    job = int(request.match_info["job"])
    return web.json_response({"data": {"id": job, "status": 10 if is_over(job) else 3}})


@routes.post("/api/{version}/jobs/run-now")
async def start_databricks(request: web.Request) -> web.Response:
    return web.json_response({"run_id": start(float((await request.json())["notebook_params"]["seconds"]))})


@routes.get("/api/{version}/jobs/runs/get")
async def read_databricks(request: web.Request) -> web.Response:
    asked = request.query.get("run_id") or (await request.json())["run_id"]
    over = is_over(int(asked))
    state: dict[str, Any] = {"life_cycle_state": "TERMINATED" if over else "RUNNING", "state_message": ""}
    state |= {"result_state": "SUCCESS"} if over else {}
    page = "https://localhost/run"
    return web.json_response({"job_id": 1, "run_id": int(asked), "run_page_url": page, "state": state})


@routes.post("/jobs/{seconds}")
async def start_plain(request: web.Request) -> web.Response:
    return web.json_response({"id": start(float(request.match_info["seconds"]))})


@routes.get("/jobs/{job}")
async def read_plain(request: web.Request) -> web.Response:
    return web.json_response({"over": is_over(int(request.match_info["job"]))})


@routes.get("/timed/{seconds}/{name}")
async def read_timed(request: web.Request) -> web.Response:
    over = is_over(named(request.match_info["name"], float(request.match_info["seconds"])))
    return web.json_response({"over": True}) if over else web.json_response({}, status=404)


async def serve(folder: Path) -> None:
    """Listen on a free port, print it, and serve until standard input is closed."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    application = web.Application()
    application.add_routes(routes)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    print(json.dumps(runner.addresses[0][1]), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
