"""Assistants to read and to start from: the sample help centre, and what `antiphon init` copies."""
