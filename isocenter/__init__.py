"""The composition root: settings, command line, processes; imports every part, imported by none."""
