"""Reviewed cases as a training set: de-identified images, what people said of them, and the masks."""
