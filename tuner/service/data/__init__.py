"""Data sets of a server: unpacked, inspected and shown."""
