"""What runs searches: the `tuner` command, in processes that outlive the server."""
