"""The DIMSE edge: services over DICOM associations, on top of `storage`."""
