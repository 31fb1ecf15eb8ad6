"""What a task does around a run: it stores the run for later tries, defers, resumes, and delivers the outcome."""
