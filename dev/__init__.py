"""Development tools behind the Makefile: environments, a local Airflow, the demo."""
