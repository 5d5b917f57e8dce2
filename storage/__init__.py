"""The core: what is stored, where it is, how it is found."""
