"""The Datalore tab on a task instance in Airflow's UI (Airflow 3.1 and later, extra ``ui``)."""
