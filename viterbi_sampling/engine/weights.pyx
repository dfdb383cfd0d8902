"""Edge weights exp(alpha * score), the same to the last bit on every platform.

The exponential of the C library differs between platforms in the last bit, and a sample must not.
This one uses only additions, multiplications and divisions, which IEEE 754 defines: with n the
integer nearest to x / ln 2, and r = x - n ln 2 reduced in two parts so that no bit of ln 2 that
matters is lost (Cody and Waite), exp(r) is its Taylor polynomial. The error is below 2 units in
the last place, far below the 1e-9 of the promise.
"""

from libc.math cimport floor, ldexp
from libc.stdint cimport int32_t

import numpy as np

cdef enum:
    DEGREE = 14

cdef double LOG2_E = 1.4426950408889634
# ln 2 in two parts; the first has 33 bits, so that n times it is exact for |n| < 2^20. Beyond, the
# error is that of rounding alpha * score itself.
cdef double LN2_A = 0.6931471803691238      # 0x3FE62E42FEE00000
cdef double LN2_B = 1.9082149292705877e-10  # 0x3DEA39EF35793C76
cdef double LIMIT = 1073741824.0            # 2^30


cdef double exp_split(double x, int32_t* exponent) noexcept nogil:
    cdef double n = floor(x * LOG2_E + 0.5)
    cdef double r = (x - n * LN2_A) - n * LN2_B
    cdef double result = 1.0
    cdef int k
    for k in range(DEGREE, 0, -1):
        result = 1.0 + result * r / k
    exponent[0] = <int32_t>n
    if result < 1.0:
        result *= 2.0
        exponent[0] -= 1
    return result


cdef double exp_exact(double x) noexcept nogil:
    cdef int32_t exponent
    cdef double mantissa
    if x < -800.0:
        return 0.0
    if x > 800.0:
        x = 800.0
    mantissa = exp_split(x, &exponent)
    return ldexp(mantissa, exponent)


cdef inline double product_rest(double a, double b) noexcept nogil:
    """a * b less its rounded value, exactly (Dekker 1971), for products that are neither huge nor tiny."""
    cdef double split = 134217729.0     # 2^27 + 1
    cdef double high_a = split * a - (split * a - a), high_b = split * b - (split * b - b)
    cdef double low_a = a - high_a, low_b = b - high_b
    return low_a * low_b - (((a * b - high_a * high_b) - low_a * high_b) - high_a * low_b)


def edge_weights(const double[::1] scores, double alpha):
    """exp(alpha * scores) as (weights, exponents): weights * 2^exponents, one entry a score.

    `exponents` is None where all weights lie within 2^-500 and 2^500 and stand for themselves.
    ValueError where |alpha * score| > 2^30: such a weight means nothing beside any other.
    """
    cdef Py_ssize_t i, count = scores.shape[0]
    weights = np.empty(count, np.float64)
    exponents = np.empty(count, np.int32)
    cdef double[::1] weight = weights
    cdef int32_t[::1] exponent = exponents
    cdef bint plain = True
    for i in range(count):
        if not -LIMIT <= alpha * scores[i] <= LIMIT:
            raise ValueError(f"alpha = {alpha!r} is too large for this model: alpha times the score {scores[i]!r} must lie "
                             f"within {LIMIT:g} of 0; for so large an alpha, encode gives the segmentation")
        weight[i] = exp_split(alpha * scores[i], &exponent[i])
        # exp(x + d) = exp(x) * (1 + d): what rounding alpha * score took is given back.
        if -1e9 < scores[i] < 1e9 and alpha < 1e9:
            weight[i] += weight[i] * product_rest(alpha, scores[i])
        plain = plain and -500 < exponent[i] < 500
    if not plain:
        return weights, exponents
    for i in range(count):
        weight[i] = ldexp(weight[i], exponent[i])
    return weights, None
