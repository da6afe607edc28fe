"""What people submit, and what is found out about it before it runs."""
