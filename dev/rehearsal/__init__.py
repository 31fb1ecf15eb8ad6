"""Rehearses a release: `make rehearse-release`.

Builds the package, serves it from a local index, installs it from there on every supported Airflow, runs the demo, and
upgrades an Airflow whose tasks are deferred.
"""
