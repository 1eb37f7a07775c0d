"""The ten checks an expert would run before believing a potential, as a page with numbers, targets and figures."""
