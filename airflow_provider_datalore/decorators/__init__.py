"""Functions that return a notebook's parameters, as tasks."""
