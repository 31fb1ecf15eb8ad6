"""What Airflow reads about this provider at start-up; imports nothing that costs time."""

from __future__ import annotations

from typing import Any


def get_provider_info() -> dict[str, Any]:
    """The provider's metadata, in the form of Airflow's ``provider_info.schema.json``."""
    return {
        "package-name": "airflow-provider-datalore",
        "name": "Datalore",
        "description": "`JetBrains Datalore <https://www.jetbrains.com/datalore/>`__ runs notebooks.\n",
        "integrations": [
            {
                "integration-name": "Datalore",
                "external-doc-url": "https://www.jetbrains.com/help/datalore/run-notebooks-using-api.html",
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
        "asset-uris": [_ASSETS],
        "dataset-uris": [_ASSETS],  # what Airflow 2 calls them
    }


_ASSETS = {
    "schemes": ["datalore"],
    "handler": "airflow_provider_datalore.assets.datalore.sanitize_uri",
    "factory": "airflow_provider_datalore.assets.datalore.create_asset",
    "to_openlineage_converter": "airflow_provider_datalore.assets.datalore.convert_asset_to_openlineage",
}


def connection_type() -> dict[str, Any]:
    """The connection type and its form; the hook shows the same on Airflow before 3.2."""
    return {
        "connection-type": "datalore",
        "hook-class-name": "airflow_provider_datalore.hooks.datalore.DataloreHook",
        "hook-name": "Datalore",
        "ui-field-behaviour": {
            "hidden-fields": ["login"],
            "relabeling": {"password": "API token"},
            "placeholders": {
                "host": "https://datalore.jetbrains.com",
                "schema": "http or https, if the host does not say; http if empty",
                "port": "only if the host does not say",
                "password": "from Account settings | API tokens in Datalore",
            },
        },
        "conn-fields": {
            "public_url": _text(
                "Public URL", "Where people open Datalore in a browser, if that is not the host above."
            ),
            "verify": _text(
                "TLS verification",
                "The path of a file or folder of CA certificates to trust, or false to check no certificate. Empty: "
                "REQUESTS_CA_BUNDLE of the environment, or else those of certifi.",
            ),
            "cert": _text(
                "Client certificate",
                'The path of a certificate, or ["cert.pem", "key.pem"] if its key is in a file of its own.',
            ),
            "proxies": _text(
                "Proxy", 'The address of a proxy, or {"https": "http://proxy:3128"} for some schemes only.'
            ),
            "trust_env": _text(
                "Trust the environment", "false ignores proxies and CA certificates that environment variables name."
            ),
            "timeout": _text("Timeout", "The limit for one request, in seconds; 60 if empty."),
            "max_connections": _text(
                "Most connections", "How many connections a triggerer opens to Datalore at once, at most; 100 if empty."
            ),
        },
    }


def _modules(room: str, *further: str) -> dict[str, Any]:
    return {
        "integration-name": "Datalore",
        "python-modules": [f"airflow_provider_datalore.{room}.{module}" for module in ("datalore", *further)],
    }


def _text(label: str, description: str) -> dict[str, Any]:
    return {"label": label, "description": description, "schema": {"type": ["string", "null"]}}
