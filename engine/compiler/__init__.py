"""Plan and binding in, Program out: pure SQL, built once for preview, trial and execution."""
