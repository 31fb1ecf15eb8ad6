"""Run JetBrains Datalore notebooks from Apache Airflow."""

__version__ = "0.1.0"
