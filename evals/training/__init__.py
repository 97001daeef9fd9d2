"""How the weights that ship were trained: scripts and provenance; nothing here runs in a turn."""
