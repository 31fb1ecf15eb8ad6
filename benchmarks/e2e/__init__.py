"""What a notebook costs end to end in a real Airflow, side by side with other ways to run a job: `make bench-e2e`."""
