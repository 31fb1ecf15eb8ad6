"""Datalore's API: its models, its calls, and how to wait for a run. Uses no Airflow, no sockets and no clock."""
