"""What a task tells OpenLineage, by way of Airflow's OpenLineage provider, which is optional."""
