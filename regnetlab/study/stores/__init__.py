"""Stores: where trainings are kept (SQLite, PostgreSQL, Optuna's journal), held by one coordinator,
copied, checked and mended."""
