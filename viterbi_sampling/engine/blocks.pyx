"""Blocks of memory for results, which are used again.

The system clears each page of fresh memory when it is touched first. For results of many megabytes, one a call, that
takes as long as filling them, or longer; small ones come from memory that malloc has at hand. So the largest of the
large blocks that were given back is kept for the next result of about its size. The system may take the pages of a kept
block at any time, which costs less than giving them back; where it cannot be told so, none is kept.
"""

from cpython.buffer cimport PyBuffer_FillInfo
from libc.stdlib cimport free, malloc

from viterbi_sampling.engine.buffer cimport LARGE, advise_large_pages

cdef extern from *:
    """
    #include <atomic>
    #include <cstddef>
    #include <cstdint>
    #include <cstdlib>
    #include <cstring>
    #if defined(__linux__)
    #include <sys/mman.h>
    #endif

    // The block that is kept, whose size stands in its first bytes, or none. Who takes it out owns it.
    static std::atomic<void*> viterbi_sampling_kept(nullptr);

    static std::size_t viterbi_sampling_kept_size(const void* data) {
        std::size_t size;
        std::memcpy(&size, data, sizeof(size));
        return size;
    }

    // Keep a block, or free it where a larger one is kept.
    static void viterbi_sampling_keep(void* data, std::size_t size) {
    #if defined(__linux__) && defined(MADV_FREE)
        const std::uintptr_t page = 4096;
        std::uintptr_t begin = ((std::uintptr_t)data + sizeof(size) + page - 1) & ~(page - 1);
        std::uintptr_t end = ((std::uintptr_t)data + size) & ~(page - 1);
        if (end > begin && madvise((void*)begin, end - begin, MADV_FREE) == 0) {
            std::memcpy(data, &size, sizeof(size));
            void* other = viterbi_sampling_kept.exchange(data);
            if (other != nullptr && viterbi_sampling_kept_size(other) > size)
                other = viterbi_sampling_kept.exchange(other);
            data = other;
        }
    #endif
        std::free(data);
    }

    // The block that is kept if it has `wanted` bytes, but not many times as many; otherwise a null.
    static void* viterbi_sampling_reuse(std::size_t wanted, std::size_t* size) {
        void* data = viterbi_sampling_kept.exchange(nullptr);
        if (data != nullptr) {
            *size = viterbi_sampling_kept_size(data);
            if (wanted <= *size && *size / 8 <= wanted)
                return data;
            data = viterbi_sampling_kept.exchange(data);
            std::free(data);    // what another thread has kept meanwhile
        }
        return nullptr;
    }
    """
    void keep "viterbi_sampling_keep"(void* data, size_t size) noexcept nogil
    void* reuse "viterbi_sampling_reuse"(size_t wanted, size_t* size) noexcept nogil

cdef enum:
    MOST_KEPT = 1 << 27         # bytes of a block that is kept


cdef bint block_take(Block* block, size_t wanted) noexcept nogil:
    if wanted >= LARGE:
        block.data = <uint8_t*>reuse(wanted, &block.size)
        if block.data != NULL:
            return True
    block.data = <uint8_t*>malloc(wanted)
    block.size = wanted
    if block.data != NULL and wanted >= LARGE:
        advise_large_pages(block.data, wanted)
    return block.data != NULL


cdef void block_give(Block* block) noexcept nogil:
    if LARGE <= block.size <= MOST_KEPT and block.data != NULL:
        keep(block.data, block.size)
    else:
        free(block.data)
    block.data = NULL


cdef class BlockMemory:

    def __dealloc__(self):
        block_give(&self.block)

    def __getbuffer__(self, Py_buffer* buffer, int flags):
        PyBuffer_FillInfo(buffer, self, self.block.data, self.block.size, False, flags)


cdef BlockMemory memory_of(Block* block):
    cdef BlockMemory memory = BlockMemory()
    memory.block = block[0]
    block.data = NULL
    return memory
