"""What Datalore speaks: its nouns, its calls and how to wait for it. Knows no Airflow, no socket, no clock."""
