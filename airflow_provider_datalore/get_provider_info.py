"""The metadata of this provider, which Airflow reads at start-up; imports nothing that is slow to import."""

from __future__ import annotations

from typing import Any


def get_provider_info() -> dict[str, Any]:
    """The provider's metadata, in the form of Airflow's ``provider_info.schema.json``."""
    return {
        "package-name": "airflow-provider-datalore",
        "name": "Datalore",
        "description": "Run notebooks of `JetBrains Datalore <https://www.jetbrains.com/datalore/>`__.\n",
        "integrations": [
            {
                "integration-name": "Datalore",
                "external-doc-url": "https://www.jetbrains.com/help/datalore/run-api.html",
                "how-to-guide": [f"/docs/howto/{page}.md" for page in _HOW_TO],
                "logo": "/docs/integration-logos/datalore.svg",
                "tags": ["service"],
            }
        ],
        "hooks": [_modules("hooks")],
        "operators": [_modules("operators")],
        "sensors": [_modules("sensors")],
        "triggers": [_modules("triggers", "interactive")],
        "task-decorators": [
            {
                "name": "datalore_notebook",
                "class-name": "airflow_provider_datalore.decorators.datalore.datalore_notebook_task",
            }
        ],
        "extra-links": [
            "airflow_provider_datalore.links.datalore.DataloreNotebookLink",
            "airflow_provider_datalore.links.datalore.DataloreExecutedNotebookLink",
        ],
        "connection-types": [connection_type()],
        "config": {"datalore": {"description": "Options for tasks and watchers of notebooks.", "options": _OPTIONS}},
        "asset-uris": [_ASSETS],
        "dataset-uris": [_ASSETS],  # their name in Airflow 2
        "cli": ["airflow_provider_datalore.cli.airflow_commands.get_commands"],  # read by Airflow 3.2 and later
    }


_HOW_TO = (
    *("run-notebook", "prepare-notebook", "taskflow", "wait-for-run", "catalog", "check-dags", "return-values"),
    *("keep-artifacts", "interactive-run", "cell-by-cell", "notebook-files", "python-task", "assets"),
    "start-dags-from-datalore",
    *("tell-people", "look-in-airflow", "all-notebooks", "compare-runs", "openlineage", "check-connection"),
    *("probe-datalore", "own-operator"),
)
"""The pages in ``docs/howto``, the most needed first."""

_ASSETS = {
    "schemes": ["datalore"],
    "handler": "airflow_provider_datalore.assets.datalore.sanitize_uri",
    "factory": "airflow_provider_datalore.assets.datalore.create_asset",
    "to_openlineage_converter": "airflow_provider_datalore.assets.datalore.convert_asset_to_openlineage",
}


_OPTIONS = {
    "poll_interval": {
        "description": "Maximum seconds between two requests for the status of a run, and between two polls of a "
        "watcher, at least 1. poll_interval in a DAG has precedence.\n",
        "version_added": "0.1.0",
        "type": "float",
        "example": "60",
        "default": "30",
    },
    "max_outage": {
        "description": "Seconds for which Datalore may be unreachable before a task fails. max_outage in a DAG has "
        "precedence.\n",
        "version_added": "0.1.0",
        "type": "float",
        "example": "3600",
        "default": "1800",
    },
    "rendering_timeout": {
        "description": "Seconds that Airflow's web server may take to render a notebook for the tab of a task, at "
        "least 1.\n",
        "version_added": "0.1.0",
        "type": "float",
        "example": "60",
        "default": "30",
    },
    "run_store": {
        "description": "Where the run of a task is stored, so that a retry uses it, and what a watcher saw: the URL "
        "of a folder that all workers and triggerers can use, or 'variables' for Airflow's Variables. Not used by "
        "Airflow 3.3 and later, which has a store of its own. If empty, earlier versions store nothing, and a retry "
        "runs the notebook again.\n",
        "version_added": "0.1.0",
        "type": "string",
        "example": "s3://aws_default@bucket/datalore-runs",
        "default": "",
    },
}


def connection_type() -> dict[str, Any]:
    """The connection type and its form; on Airflow before 3.2 the hook declares the same."""
    return {
        "connection-type": "datalore",
        "hook-class-name": "airflow_provider_datalore.hooks.datalore.DataloreHook",
        "hook-name": "Datalore",
        "ui-field-behaviour": {
            "hidden-fields": ["login"],
            "relabeling": {"password": "API token"},
            "placeholders": {
                "host": "https://datalore.jetbrains.com",
                "schema": "http or https, used if Host has no scheme; default http",
                "port": "used if Host has no port",
                "password": "from Account settings | API tokens in Datalore",
            },
        },
        "conn-fields": {
            "public_url": _text(
                "Public URL", "The address at which users open Datalore in a browser, if it differs from Host."
            ),
            "verify": _text(
                "Verify",
                "Path of a file or folder of CA certificates to trust, or false to disable certificate verification. "
                "If empty, REQUESTS_CA_BUNDLE of the environment, otherwise the certificates of certifi.",
            ),
            "cert": _text(
                "Cert",
                'Path of a client certificate, or ["cert.pem", "key.pem"] if its key is in a separate file.',
            ),
            "proxies": _text("Proxies", 'The address of a proxy, or a mapping such as {"https": "http://proxy:3128"}.'),
            "trust_env": _text(
                "Trust env", "false ignores proxies and CA certificates from environment variables. Default true."
            ),
            "timeout": _text("Timeout", "Time limit for one request, in seconds. Default 60."),
            "max_connections": _text(
                "Max connections",
                "Maximum number of connections that a triggerer opens to Datalore at once. Default 100.",
            ),
        },
    }


def _modules(package: str, *further: str) -> dict[str, Any]:
    return {
        "integration-name": "Datalore",
        "python-modules": [f"airflow_provider_datalore.{package}.{module}" for module in ("datalore", *further)],
    }


def _text(label: str, description: str) -> dict[str, Any]:
    return {"label": label, "description": description, "schema": {"type": ["string", "null"]}}
