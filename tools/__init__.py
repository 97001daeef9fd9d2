"""What is done: the instruments the nodes use, each behind a small interface."""
