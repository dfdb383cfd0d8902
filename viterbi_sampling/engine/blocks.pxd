# Blocks of memory for results; a large one that is given back is used again.

from libc.stdint cimport uint8_t

cdef struct Block:
    uint8_t* data
    size_t size                 # bytes, as many as were asked for or more

# A block of at least `wanted` bytes, whatever is in them; False without memory.
cdef bint block_take(Block* block, size_t wanted) noexcept nogil

# Give the memory of a block back, if it has any. Any thread may do it.
cdef void block_give(Block* block) noexcept nogil

# The memory of a block for Python: a buffer, given back with the last array over it.
cdef class BlockMemory:
    cdef Block block

# The block is that of the result from now on, and has no memory here.
cdef BlockMemory memory_of(Block* block)
