"""The HTTP edge: DICOMweb (PS3.18) on top of `storage`."""
