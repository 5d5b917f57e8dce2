"""From a stored study to a stored result: work items, triggers, pipeline, results, reviews."""
