"""Assistants that come with Antiphon: the sample help centre, and what `antiphon init` copies."""
