# Edge weights exp(alpha * score) as mantissa and power of two.

from libc.stdint cimport int32_t

# exp(x) = mantissa * 2^exponent with mantissa in [1, 2), for |x| <= 2^30.
cdef double exp_split(double x, int32_t* exponent) noexcept nogil

# exp(x), 0 or infinity where it leaves the doubles.
cdef double exp_exact(double x) noexcept nogil
