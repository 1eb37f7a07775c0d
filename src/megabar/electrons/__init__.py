"""Electrons under pressure."""
