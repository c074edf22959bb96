"""Runs a plan against files: intake, binding, repair, compilation, execution, proposals, durable runs."""
