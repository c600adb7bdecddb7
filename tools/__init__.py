"""Scripts that execute, check and build the book; run them as ``python -m tools.NAME`` from the project's folder."""
