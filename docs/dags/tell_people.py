"""Callbacks that tell people what a notebook did."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_datalore.operators.datalore import DataloreRunNotebookOperator


# [START slack]
def tell_slack(context: Any) -> None:
    from airflow.providers.slack.notifications.slack import SlackNotifier

    from airflow_provider_datalore.summary import summarize

    summary = summarize(context)
    SlackNotifier(channel="#reports", text=summary.slack_text, blocks=summary.slack_blocks).notify(context)


# [END slack]


# [START mail]
def send_mail(context: Any) -> None:
    from airflow.providers.smtp.notifications.smtp import SmtpNotifier

    from airflow_provider_datalore.summary import summarize

    summary = summarize(context)
    SmtpNotifier(to="reports@example.com", subject=summary.title, html_content=summary.html).notify(context)


# [END mail]


# [START apprise]
def tell_others(context: Any) -> None:
    from airflow.providers.apprise.notifications.apprise import AppriseNotifier

    from airflow_provider_datalore.summary import summarize

    summary = summarize(context)
    AppriseNotifier(title=summary.title, body=summary.text).notify(context)


# [END apprise]


with DAG("tell_people", schedule=None) as dag:
    # [START task]
    DataloreRunNotebookOperator(
        task_id="report",
        notebook_id="me/daily_sales",
        on_success_callback=tell_slack,
        on_failure_callback=[tell_slack, send_mail, tell_others],
    )
    # [END task]
