"""One module per kind of output: the card's table and the raw array become findings."""
