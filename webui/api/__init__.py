"""The JSON interface of the pages: reviews, models, quality."""
