"""The two ways we compile: kernels that Python calls, and parts that only kernels call (no wrappers: half the compile time).

A part called from Python ends the process: tests reach parts through kernels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, Protocol, TypeVar, cast

import numba
import numpy as np
from numba.extending import intrinsic
from numba.np import arrayobj

_P = ParamSpec("_P")
_R = TypeVar("_R")
_A = TypeVar("_A")


def kernel(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Compiled, kept on disk, callable from Python."""
    return cast(Callable[_P, _R], numba.njit(nogil=True, cache=True, error_model="numpy")(function))


def part(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Compiled into the kernels that call it; Python cannot call it."""
    made: object = numba.njit(nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)  # type: ignore[call-overload]  # true options that the stubs do not list
    return cast(Callable[_P, _R], made)


def once(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """A part written into its only caller before compilation: for what holds other parts together. It is not compiled by itself."""
    return cast(Callable[_P, _R], numba.njit(inline="always", nogil=True, error_model="numpy")(function))


def piece(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """A part without a call: where a whole memory is handed over, the call costs as much as the work."""
    made: object = numba.njit(nogil=True, error_model="numpy", forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)  # type: ignore[call-overload]  # likewise
    return cast(Callable[_P, _R], made)


def word(number: int) -> int:
    """A constant that kernels take as int64: a plain Python int is a type of its own to numba, and each one a new compilation."""
    return cast(int, np.int64(number))


class _Borrow(Protocol):
    def __call__(self, array: _A) -> _A: ...


_arrays: Any = arrayobj  # untyped in numba


def _lend(typingctx: Any, array: Any) -> Any:  # noqa: ARG001 - numba's signature
    """The same array without its reference count, for as long as a kernel runs: its caller holds the array.

    numba counts references, atomically, each time an array is taken out of a tuple; that was the largest part of a kernel's time.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ARG001 - likewise
        make = _arrays.make_array(array)
        held, lent = make(context, builder, args[0]), make(context, builder)
        _arrays.populate_array(lent, held.data, held.shape, held.strides, held.itemsize, meminfo=None)
        return lent._getvalue()

    return array(array), codegen


borrow = cast(_Borrow, intrinsic(_lend))
