"""The JSON interface of the pages: worklist, reviews, models, quality."""
