"""Decorators that make a task from a function that returns a notebook's parameters."""
