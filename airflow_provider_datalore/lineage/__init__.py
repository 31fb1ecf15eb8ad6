"""The OpenLineage metadata of a task, for Airflow's OpenLineage provider, which is optional."""
