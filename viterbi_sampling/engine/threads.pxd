# Threads that live inside one call.

cdef extern from *:
    """
    #include <chrono>
    #include <condition_variable>
    #include <exception>
    #include <mutex>
    #include <thread>
    #include <vector>
    class viterbi_sampling_threads {
        std::vector<std::thread> all;
        std::mutex lock;
        std::condition_variable ended;
        int running = 0;

        void end_one() {
            std::lock_guard<std::mutex> guard(lock);
            running--;
            ended.notify_all();
        }

    public:
        template <class Call>
        bool start(Call call, void* owner) noexcept {
            try {
                {
                    std::lock_guard<std::mutex> guard(lock);
                    running++;
                }
                all.emplace_back([this, call, owner] {
                    call(owner);
                    end_one();
                });
                return true;
            } catch (const std::exception&) {   // there is no thread, or no memory for it
                end_one();
                return false;
            }
        }

        // Wait until all have ended, but not for long: whether they have.
        bool wait() {
            std::unique_lock<std::mutex> guard(lock);
            return ended.wait_for(guard, std::chrono::milliseconds(20), [this] { return running == 0; });
        }

        void join() {
            for (std::thread& one : all)
                one.join();
            all.clear();
        }
    };
    """
    cppclass NativeThreads "viterbi_sampling_threads":
        bint start(void (*call)(void*) noexcept nogil, void* owner) noexcept nogil
        bint wait() noexcept nogil
        void join() noexcept nogil

cdef extern from "<mutex>" namespace "std" nogil:
    cppclass mutex:
        void lock() noexcept
        void unlock() noexcept

cdef extern from "<thread>" namespace "std::this_thread" nogil:
    void give_way "std::this_thread::yield"() noexcept

cdef class Threads:             # whoever has started one must `end` or `stop` them all, whatever happens
    cdef NativeThreads threads
    cdef int* flag              # once it is raised, all calls end soon
    cdef list owners
    # Make call(owner) in a thread of its own, without the interpreter lock. False where the system has no thread left.
    cdef bint start(self, void (*call)(void*) noexcept nogil, object owner) except -1
    # Wait until all have ended. An exception is Ctrl-C, and they go on.
    cdef int end(self) except -1
    # Make them end; in this nothing can fail.
    cdef void stop(self) noexcept

cdef Threads threads_of(int* flag)
