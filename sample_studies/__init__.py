"""Synthetic studies with known truth, made on first use."""
