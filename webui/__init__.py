"""Pages for people: worklist, findings, reviews."""
