"""What a search will take, before it runs: measured pieces, put together as the search would."""
