"""The compiled NEP evaluator, its Python binding and its LAMMPS pair style."""
