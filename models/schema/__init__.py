"""The tables of a `card.toml`: what each may hold, with its defaults and its meaning.

Keys may be added in later versions; those that exist keep their meaning within one `schema` number.
"""
