"""What a model found, as DICOM: segmentations and structured reports, and the report read back."""
