"""What brings searches to where they are wanted: the queue, drivers and the server's Ray."""
