"""Powder diffraction of predicted phases with markers and gasket, and the fit of a measured pattern by them."""
