"""The index: what is stored, as rows of SQLite or PostgreSQL."""
