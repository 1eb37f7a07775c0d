"""Phases under pressure: relaxation, equations of state, phonons, Gibbs energies and what is stable where."""
