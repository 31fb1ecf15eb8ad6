"""Reads executed notebooks. Depends on the file format only, not on Airflow or Datalore."""
