"""The graphs of our own models, as scripts; `python -m models.graphs` writes them (needs onnxscript)."""
