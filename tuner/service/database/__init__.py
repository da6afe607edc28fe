"""Users, tokens, the queue and what is wanted of searches. What searches found is in their folders."""
