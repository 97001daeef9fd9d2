"""A drill: real servers that are killed at random while real clients use them."""
