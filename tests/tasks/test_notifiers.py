"""Airflow's Slack, SMTP and Apprise notifiers send what ``summarize`` returns, as the documentation shows it."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_datalore.exceptions import DataloreRunFailedError
from airflow_provider_datalore.operators.datalore import DataloreRunNotebookOperator
from airflow_provider_datalore.summary import MAX_BLOCK_CHARS, MAX_BLOCKS, summarize
from airflow_provider_datalore.transport.connection import mask_token
from docs.dags import tell_people
from tests.scripted_server import ScriptedServer
from tests.tasks.conftest import TOKEN, Context, Datalore, TaskInstance

HOSTILE = "<!channel> <script>alert(1)</script> & {{ conn.datalore_default.password }} {% raw %}"
ARTIFACT = "/notebook/ann/sales/artifacts/run-1/sales.ipynb"

Notify = Callable[[Any], None]


class Mailbox(socketserver.ThreadingTCPServer):
    """Receives mail over SMTP."""

    daemon_threads = True

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        super().__init__(("127.0.0.1", 0), _Session)


class _Session(socketserver.StreamRequestHandler):
    server: Mailbox

    def handle(self) -> None:
        self._answer("220 ready")
        while line := self.rfile.readline():
            match line[:4].upper():
                case b"DATA":
                    self._answer("354 go ahead")
                    content = b"".join(iter(self.rfile.readline, b".\r\n"))
                    self.server.messages.append(message_from_bytes(content, policy=policy.default))  # type: ignore[arg-type]  # the policy decides
                    self._answer("250 ok")
                case b"QUIT":
                    self._answer("221 bye")
                    return
                case _:
                    self._answer("250 ok")

    def _answer(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


@pytest.fixture
def mailbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    """The mailbox to which connection ``smtp_default`` delivers."""
    with Mailbox() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        host, port = server.server_address
        extra = {"disable_ssl": True, "disable_tls": True, "from_email": "airflow@example.com"}
        connection = {"conn_type": "smtp", "host": host, "port": port, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", json.dumps(connection))
        yield server
        server.shutdown()


@pytest.fixture
def slack(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    """The Slack of connection ``slack_api_default``."""
    with ScriptedServer() as server:
        server.route("POST", "/api/chat.postMessage", json={"ok": True})
        connection = {"conn_type": "slack", "password": "xoxb-0123456789", "extra": {"base_url": f"{server.url}/api/"}}
        monkeypatch.setenv("AIRFLOW_CONN_SLACK_API_DEFAULT", json.dumps(connection))
        yield server


@pytest.fixture
def others(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    """What connection ``apprise_default`` posts to."""
    with ScriptedServer() as server:
        server.route("POST", "/notify", json={})
        config = {"path": f"{server.url.replace('http://', 'json://')}/notify", "tag": "all"}
        connection = {"conn_type": "apprise", "extra": {"config": config}}
        monkeypatch.setenv("AIRFLOW_CONN_APPRISE_DEFAULT", json.dumps(connection))
        yield server


def notebook(*sources: str, output: str = "", fails: bool = False) -> dict[str, Any]:
    failed = {"output_type": "error", "ename": "KeyError", "evalue": HOSTILE, "traceback": [f"KeyError: {HOSTILE}"]}
    shown = {"output_type": "display_data", "metadata": {}, "data": {"text/plain": repr(output)}}
    cells = [
        {
            "cell_type": "code",
            "source": source,
            "metadata": {"tags": ["xcom:note"]} if source == sources[-1] and not fails else {},
            "execution_count": number,
            "outputs": [] if source != sources[-1] else [failed if fails else shown],
        }
        for number, source in enumerate(sources, start=1)
    ]
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}


@pytest.fixture
def succeeded(datalore: Datalore, context: Context, task_instance: TaskInstance) -> Context:
    """The context of a success callback: a notebook has returned a hostile text."""
    task_instance.log_url = "https://airflow.example.com/log"  # type: ignore[attr-defined]
    datalore.starts("run-1").finishes("run-1").route("GET", ARTIFACT, json=notebook("note", output=HOSTILE))
    task = DataloreRunNotebookOperator(task_id="run_notebook", notebook_id="ann/sales", outputs=["note"])
    task.execute(context)
    return {**context, "task": task, "dag": DAG("d", schedule=None)}


@pytest.fixture
def failed(datalore: Datalore, context: Context, task_instance: TaskInstance) -> Context:
    """The context of a failure callback: a cell was edited into one that fails with a hostile message."""
    task_instance.log_url = "https://airflow.example.com/log"  # type: ignore[attr-defined]
    task = DataloreRunNotebookOperator(task_id="run_notebook", notebook_id="ann/sales", durable=False)
    datalore.starts("run-0").finishes("run-0")
    task.execute(context)
    task_instance.earlier, task_instance.xcoms = dict(task_instance.xcoms), {}
    datalore.starts("run-1").finishes("run-1", success=False)
    datalore.route("GET", ARTIFACT.replace("run-1", "run-0"), json=notebook("a = 1", "b = 2"))
    datalore.route("GET", ARTIFACT, json=notebook("a = 1", f"# {HOSTILE}", fails=True))
    with pytest.raises(DataloreRunFailedError) as error:
        task.execute(context)
    return {**context, "task": task, "dag": DAG("d", schedule=None), "exception": error.value}


def rendered(notifier: Any, context: Context) -> None:
    """Send as Airflow does if the notifier itself is the callback: after its arguments were rendered."""
    mask_token(TOKEN)
    conn = {"datalore_default": {"password": TOKEN}}
    notifier({**context, "conn": conn})


class TestSlack:
    def sent(self, slack: ScriptedServer) -> dict[str, Any]:
        (request,) = slack.requests
        message: dict[str, Any] = request.json
        message["blocks"] = json.loads(message["blocks"])
        assert len(message["blocks"]) <= MAX_BLOCKS
        assert all(0 < len(block["text"]["text"]) <= MAX_BLOCK_CHARS for block in message["blocks"])
        return message

    def test_a_success(self, slack: ScriptedServer, succeeded: Context) -> None:
        tell_people.tell_slack(succeeded)
        message = self.sent(slack)
        assert message["text"] == "d.run_notebook succeeded"
        texts = [block["text"]["text"] for block in message["blocks"]]
        assert texts[0] == "*d.run_notebook succeeded*"
        assert any(text.startswith("*Notebook:* <http://127.0.0.1") and text.endswith("|ann/sales>") for text in texts)
        assert "*Duration:* 5 min 00 s" in texts
        (note,) = [text for text in texts if text.startswith("*note:*")]
        assert "&lt;!channel&gt; &lt;script&gt;alert(1)&lt;/script&gt; &amp;" in note

    def test_a_failure(self, slack: ScriptedServer, failed: Context) -> None:
        tell_people.tell_slack(failed)
        message = self.sent(slack)
        assert message["text"].startswith("d.run_notebook failed: Notebook ann/sales failed in cell 2: KeyError")
        assert "<!channel>" not in json.dumps(message)
        (changed,) = [it["text"]["text"] for it in message["blocks"] if "What changed" in it["text"]["text"]]
        assert "cell 2 was edited (1 line)" in changed
        assert "- b = 2" in changed

    def test_what_it_renders_is_no_template_of_the_notebooks(self, slack: ScriptedServer, failed: Context) -> None:
        from airflow.providers.slack.notifications.slack import SlackNotifier

        summary = summarize(failed)
        rendered(SlackNotifier(channel="#a", text=summary.slack_text, blocks=summary.slack_blocks), failed)
        assert TOKEN not in json.dumps(self.sent(slack))


class TestMail:
    def sent(self, mailbox: Mailbox) -> tuple[str, str]:
        (message,) = mailbox.messages
        (page,) = [part.get_content() for part in message.walk() if part.get_content_type() == "text/html"]
        return message["subject"], page

    @pytest.mark.parametrize("of", ["succeeded", "failed"])
    def test_a_page_in_which_nothing_of_the_notebook_is_markup(
        self, mailbox: Mailbox, request: pytest.FixtureRequest, of: str
    ) -> None:
        tell_people.send_mail(request.getfixturevalue(of))
        subject, page = self.sent(mailbox)
        assert subject.startswith(f"d.run_notebook {of}")
        assert "<script>" not in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp;" in page
        assert ">ann/sales</a>" in page
        assert ("cell 2 was edited (1 line)" in page) == (of == "failed")

    def test_what_it_renders_is_no_template_of_the_notebooks(self, mailbox: Mailbox, succeeded: Context) -> None:
        from airflow.providers.smtp.notifications.smtp import SmtpNotifier

        summary = summarize(succeeded)
        rendered(SmtpNotifier(to="a@example.com", subject=summary.title, html_content=summary.html), succeeded)
        subject, page = self.sent(mailbox)
        assert TOKEN not in subject + page
        assert "conn.datalore_default.password" in page


class TestApprise:
    @pytest.mark.parametrize("of", ["succeeded", "failed"])
    def test_the_plain_text(self, others: ScriptedServer, request: pytest.FixtureRequest, of: str) -> None:
        context = request.getfixturevalue(of)
        tell_people.tell_others(context)
        (message,) = [sent.json for sent in others.requests]
        assert message["title"] == summarize(context).title
        assert message["message"].splitlines()[1] == "Notebook: ann/sales"
        assert "alert(1)" in message["message"]

    def test_what_it_renders_is_no_template_of_the_notebooks(self, others: ScriptedServer, succeeded: Context) -> None:
        from airflow.providers.apprise.notifications.apprise import AppriseNotifier

        summary = summarize(succeeded)
        rendered(AppriseNotifier(title=summary.title, body=summary.text), succeeded)
        assert TOKEN not in json.dumps([sent.json for sent in others.requests])
