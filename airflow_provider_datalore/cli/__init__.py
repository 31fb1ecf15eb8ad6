"""The command line: ``airflow datalore …``, and ``airflow-datalore …`` where Airflow takes no commands of providers."""
