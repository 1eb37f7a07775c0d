"""Shock compression: Hugoniots, impedance matching, release, laser breakout, and Hugoniots from E(V,T), P(V,T)."""
