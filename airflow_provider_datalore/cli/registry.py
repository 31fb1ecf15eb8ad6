"""All commands, in the order in which help lists them."""

from __future__ import annotations

from airflow_provider_datalore.cli.check_command import CHECK
from airflow_provider_datalore.cli.command import Command
from airflow_provider_datalore.cli.doctor_command import DOCTOR
from airflow_provider_datalore.cli.lock_command import LOCK
from airflow_provider_datalore.cli.probe_command import PROBE

HELP = "Check connections to Datalore, and work with its notebooks"

COMMANDS: tuple[Command, ...] = (LOCK, CHECK, DOCTOR, PROBE)
