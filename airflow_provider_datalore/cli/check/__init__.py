"""The command ``check``: whether the tasks of DAGs fit their notebooks, before anything runs."""
