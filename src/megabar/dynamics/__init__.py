"""Molecular dynamics with LAMMPS: inputs, runner, protocols, guards and trajectories."""
