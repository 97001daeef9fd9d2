"""Who decides: one node, one decision. Each reads state, calls one service, returns what changes."""
