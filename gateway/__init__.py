"""The doors in: command line, HTTP, LangGraph server."""
