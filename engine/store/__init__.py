"""The state of the deployment. Callers own the transaction; every function names the partner."""
