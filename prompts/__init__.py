"""What is said: Markdown templates with front matter, rendered strictly, identified by content."""
