"""The gate: a run beside a stored baseline; what got worse fails, and only that."""
