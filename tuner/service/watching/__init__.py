"""What searches tell, followed as it is written, and handed on to whoever watches."""
