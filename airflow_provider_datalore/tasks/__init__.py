"""A task's life around a run: what it keeps across tries, how it defers and resumes, and what it hands on."""
