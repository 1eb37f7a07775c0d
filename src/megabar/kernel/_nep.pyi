"""Types of the compiled module; see kernel/src/binding.cpp."""

import numpy as np

class NEP:
    def __init__(
        self, *, atomic_numbers: np.ndarray, cutoff_radial: np.ndarray, cutoff_angular: np.ndarray, l_max: int,
        has_q222: bool, has_q1111: bool, w0: np.ndarray, b0: np.ndarray, w1: np.ndarray, b1: float,
        c_radial: np.ndarray, c_angular: np.ndarray, q_scaler: np.ndarray, zbl_inner: float, zbl_outer: float,
        single: bool,
    ) -> None: ...
    def evaluate(
        self, positions: np.ndarray, cell: np.ndarray, pbc: tuple[bool, ...], types: np.ndarray,
        descriptors: bool = False,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]: ...

def instruction_set() -> str: ...
