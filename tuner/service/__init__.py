"""Searches over HTTP and on a page: a thin door over the command line and the store."""
