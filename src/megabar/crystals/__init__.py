"""Crystals, random cells, packings, liquids, slabs and interfaces: every cell that is labelled or run."""
