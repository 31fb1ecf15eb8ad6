"""Developer machinery: the environments, the local Airflow and the demo behind the Makefile."""
