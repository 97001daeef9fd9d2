"""What happens next: the tables of the conversation, of ingestion and of incidents."""
