"""The Datalore tab of task instances in the Airflow UI (Airflow 3.1 and later, extra ``ui``)."""
