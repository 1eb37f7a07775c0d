# GPAW build options: MPI, FFTW3, ScaLAPACK, OpenBLAS and libxc, with the library names of Debian and Ubuntu.
mpi = True
compiler = "mpicc"
fftw = True
scalapack = True
libraries = ["xc", "fftw3", "scalapack-openmpi", "openblas"]
extra_compile_args += ["-O3", "-march=native", "-ffast-math", "-fno-finite-math-only"]  # noqa: F821
