"""Settings for the whole suite; read before NumPy is imported."""

import os

# The suite runs a process a core; BLAS threads on top would fight over them.
for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
