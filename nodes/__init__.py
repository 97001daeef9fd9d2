"""Who decides: a node reads the state, calls one service and returns what changes."""
