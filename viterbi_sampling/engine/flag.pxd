# A flag that one thread raises while others look at it.

cdef extern from *:
    """
    #if defined(_MSC_VER) && !defined(__clang__)
    #define viterbi_sampling_is_raised(flag) (*(const volatile int*)(flag))
    #define viterbi_sampling_raise(flag) (*(volatile int*)(flag) = 1)
    #else
    #define viterbi_sampling_is_raised(flag) __atomic_load_n((flag), __ATOMIC_RELAXED)
    #define viterbi_sampling_raise(flag) __atomic_store_n((flag), 1, __ATOMIC_RELAXED)
    #endif
    """
    bint is_raised "viterbi_sampling_is_raised"(const int* flag) noexcept nogil
    void raise_flag "viterbi_sampling_raise"(int* flag) noexcept nogil
