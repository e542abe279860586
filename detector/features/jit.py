"""The two ways we compile: kernels that Python calls, and parts that only kernels call (no wrappers: half the compile time)."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba
import numpy as np

_P = ParamSpec("_P")
_R = TypeVar("_R")


def kernel(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Compiled, kept on disk, callable from Python."""
    return cast(Callable[_P, _R], numba.njit(nogil=True, cache=True)(function))


def part(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Compiled into the kernels that call it; Python cannot call it."""
    made: object = numba.njit(nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)  # type: ignore[call-overload]  # true options that the stubs do not list
    return cast(Callable[_P, _R], made)


def word(number: int) -> int:
    """A constant that kernels take as int64: a plain Python int is a type of its own to numba, and each one a new compilation."""
    return cast(int, np.int64(number))
