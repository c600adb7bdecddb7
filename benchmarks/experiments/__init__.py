"""One file per study. Each is resumable: a run whose record exists is not run again."""
