"""What pages say, gathered: pure functions of records and of what the service knows."""
