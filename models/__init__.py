"""AI model packages: cards, catalogue, runtime; knows nothing of DICOM storage."""
