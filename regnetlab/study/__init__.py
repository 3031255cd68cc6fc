"""What was run, and kept: the study file, its jobs, the store, the executors and the runner."""
