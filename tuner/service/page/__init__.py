"""What people see of the service in a browser. Numbers are gathered in views/; templates/ says how they look."""
