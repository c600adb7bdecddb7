"""Side-by-side measurements and experiment plans; nothing here is part of the installed package."""
