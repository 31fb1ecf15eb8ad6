"""What Airflow loads at start-up: the tab of a task, the comparison of two of its runs, the page of all notebooks."""
