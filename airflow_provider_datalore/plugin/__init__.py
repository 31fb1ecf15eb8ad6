"""What Airflow's UI shows: the tab of a task, the comparison of two of its runs, and the page of all notebooks."""
