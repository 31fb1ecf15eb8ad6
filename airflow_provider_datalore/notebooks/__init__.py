"""What an executed notebook tells. Knows the file format, and neither Airflow nor Datalore."""
