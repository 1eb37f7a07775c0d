"""The reaction of a hydride with hydrogen: the run, its analysis and its figures."""
