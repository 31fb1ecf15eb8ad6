"""The templates of the plugin's own pages, which escape whatever they show."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

templates = Environment(loader=PackageLoader(__package__), autoescape=True, undefined=StrictUndefined)
