"""Stored frames as arrays: decoding, colour and the grayscale pipeline; one frame in memory at a time."""
