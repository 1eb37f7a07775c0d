"""Hydrogen storage: how much a material holds by mass and by volume, on which basis, against which target."""
