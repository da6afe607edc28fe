"""report.html: one file that tells a whole search. Numbers are gathered here; templates/ says how they look."""
