// Runs kernels on a CPU, to test them where there is no GPU: every thread of a block is
// a fiber, and `sync` and `shuffle_xor` are the only places where one goes on to the
// next. MMSSM_EMULATOR_ORDER says in which order: `forward`, `reverse`, or a number
// that seeds random ones, in which some warps are far ahead of others. Where a result
// depends on it, a meeting of threads is missing. A thread that waits for ever, and
// memory beside what a kernel may write that has changed, end the process.
//
// Built with ThreadSanitizer, it finds what two threads of a kernel access and one
// writes without a meeting in between; an exchange by `shuffle_xor` is none.

#pragma once

#include <ucontext.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <utility>
#include <vector>

#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
extern "C" void AnnotateIgnoreReadsBegin(const char*, int);
extern "C" void AnnotateIgnoreReadsEnd(const char*, int);
extern "C" void AnnotateIgnoreWritesBegin(const char*, int);
extern "C" void AnnotateIgnoreWritesEnd(const char*, int);
#endif

#include "device.cuh"
#include "kernels.h"

namespace mmssm {
namespace cuda {

// What ThreadSanitizer is told; nothing in other builds.
namespace watch {

#if defined(__SANITIZE_THREAD__)
inline void* current() { return __tsan_get_current_fiber(); }
inline void* make() { return __tsan_create_fiber(0); }
inline void drop(void* fiber) { __tsan_destroy_fiber(fiber); }
inline void go_to(void* fiber) {
  __tsan_switch_to_fiber(fiber, __tsan_switch_to_fiber_no_sync);
}
// What was before `leave` comes before what is after `arrive`.
inline void leave(void* place) { __tsan_release(place); }
inline void arrive(void* place) { __tsan_acquire(place); }
// The emulator's own accesses are no kernel's.
struct Pause {
  Pause() {
    AnnotateIgnoreReadsBegin("", 0);
    AnnotateIgnoreWritesBegin("", 0);
  }
  ~Pause() {
    AnnotateIgnoreWritesEnd("", 0);
    AnnotateIgnoreReadsEnd("", 0);
  }
};
#else
inline void* current() { return nullptr; }
inline void* make() { return nullptr; }
inline void drop(void*) {}
inline void go_to(void*) {}
inline void leave(void*) {}
inline void arrive(void*) {}
struct Pause {
  ~Pause() {}
};
#endif

}  // namespace watch

[[noreturn]] inline void fail(const char* what) {
  std::fprintf(stderr, "mmssm: a kernel on the emulator %s\n", what);
  std::abort();
}

// Bytes around what may be written that must stay as they are.
class Fence {
 public:
  static constexpr int64_t kBytes = 64;

  static int64_t around(int64_t bytes) { return bytes + 2 * kBytes; }
  // Fills all of it, and returns what is inside.
  static char* fill(char* outside, int64_t bytes) {
    std::memset(outside, 0xff, size_t(around(bytes)));
    return outside + kBytes;
  }
  static void check(const char* inside, int64_t bytes) {
    for (int64_t i = 0; i < kBytes; ++i) {
      if (inside[i - kBytes] != char(0xff) || inside[bytes + i] != char(0xff)) {
        fail("has written beside its memory");
      }
    }
  }
};

class Emulator;

struct EmulatedBlock {
  Emulator* emulator;
  int number;
  int thread() const { return number; }
  int64_t index() const;
  void sync() const;
  void warp_sync() const;
  template <int kThreads>
  void sync_some() const;
  char* shared() const;
  template <class T>
  T shuffle_xor(T value, int mask) const;
};

// The blocks of one launch.
class Emulator {
 public:
  enum Meeting { kOfBlock, kOfSome, kOfWarp, kMeetings };

  explicit Emulator(int threads) : fibers_(size_t(threads)), order_(size_t(threads)) {
    const char* asked = std::getenv("MMSSM_EMULATOR_ORDER");
    const std::string order = asked ? asked : "forward";
    std::iota(order_.begin(), order_.end(), 0);
    if (order == "reverse") {
      is_reverse_ = true;
      std::reverse(order_.begin(), order_.end());
    } else if (order != "forward") {
      is_random_ = true;
      random_.seed(unsigned(std::stoul(order)));
    }
    for (Fiber& fiber : fibers_) {
      fiber.stack.reset(new char[kStack]);
    }
  }
  Emulator(const Emulator&) = delete;

  // Runs one block. Shared memory is NaN at first, as is what a kernel never wrote.
  void run(
      int64_t index, int64_t shared,
      const std::function<void(const EmulatedBlock&)>& body) {
    body_ = &body;
    index_ = index;
    memory_.resize(size_t(Fence::around(shared)));
    shared_ = Fence::fill(memory_.data(), shared);
    for (int i = 0; i < int(fibers_.size()); ++i) {
      Fiber& fiber = fibers_[size_t(i)];
      fiber.is_done = false;
      fiber.watched = watch::make();
      std::fill_n(fiber.meetings, int(kMeetings), 0);
      getcontext(&fiber.context);
      fiber.context.uc_stack.ss_sp = fiber.stack.get();
      fiber.context.uc_stack.ss_size = kStack;
      const auto self = reinterpret_cast<uintptr_t>(this);
      makecontext(
          &fiber.context, reinterpret_cast<void (*)()>(&Emulator::enter), 3,
          unsigned(self), unsigned(uint64_t(self) >> 32), i);
    }
    left_ = int(fibers_.size());
    watch::leave(&begin_);
    for (int idle = 0; left_ > 0; ++idle) {
      const int64_t before = progress_;
      go_round();
      idle = progress_ == before ? idle : 0;
      if (idle > kPatience) {
        fail("has threads that wait for ever");
      }
    }
    watch::arrive(&end_);
    Fence::check(shared_, shared);
    for (Fiber& fiber : fibers_) {
      watch::drop(fiber.watched);
    }
  }

  // Blocks too are run in another order.
  bool is_reverse() const { return is_reverse_; }
  int64_t index() const { return index_; }
  size_t threads() const { return fibers_.size(); }
  char* shared() { return shared_; }

  // Makes a thread wait for the others of [first, end).
  void meet(
      int thread, Meeting meeting, size_t first, size_t end, bool is_ordered = true) {
    Fiber& self = fibers_[size_t(thread)];
    // Those that meet the next time must not be mixed up with those that are late.
    char* place = &fibers_[first].places[2 * meeting + self.meetings[meeting] % 2];
    if (is_ordered) {
      watch::leave(place);
    }
    {
      const watch::Pause pause;
      const int64_t mine = ++self.meetings[meeting];
      const auto all_are_there = [&] {
        for (size_t i = first; i < end; ++i) {
          if (fibers_[i].is_done && fibers_[i].meetings[meeting] < mine) {
            fail("waits for a thread that has ended");
          }
          if (fibers_[i].meetings[meeting] < mine) {
            return false;
          }
        }
        return true;
      };
      do {  // The others at least get a turn.
        switch_to(&self.context, &main_, main_watched_);
      } while (!all_are_there());
      ++progress_;
    }
    if (is_ordered) {
      watch::arrive(place);
    }
  }

  // The value that another thread of the warp has. Orders nothing else.
  template <class T>
  T exchange(int thread, int other, T value) {
    const size_t first = size_t(thread / kWarp * kWarp);
    {
      const watch::Pause pause;
      std::memcpy(&fibers_[size_t(thread)].slot, &value, sizeof value);
    }
    meet(thread, kOfWarp, first, first + kWarp, false);
    {
      const watch::Pause pause;
      std::memcpy(&value, &fibers_[size_t(other)].slot, sizeof value);
    }
    meet(thread, kOfWarp, first, first + kWarp, false);
    return value;
  }

 private:
  static constexpr size_t kStack = 64 * 1024;
  static constexpr int kPatience = 64;  // rounds, of which random ones leave warps out

  struct Fiber {
    ucontext_t context;
    std::unique_ptr<char[]> stack;
    void* watched = nullptr;
    bool is_done = true;
    int64_t meetings[kMeetings] = {};
    char places[2 * kMeetings];
    double slot;
  };

  // Gives every thread that has not ended a turn; in random order not every one.
  void go_round() {
    const int warps = (int(order_.size()) + kWarp - 1) / kWarp;
    uint64_t is_out = 0;
    if (is_random_) {
      std::shuffle(order_.begin(), order_.end(), random_);
      is_out = random_() & ((uint64_t(1) << warps) - 1);
    }
    for (const int at : order_) {
      if (!fibers_[size_t(at)].is_done && !(is_out >> at / kWarp & 1)) {
        switch_to(&main_, &fibers_[size_t(at)].context, fibers_[size_t(at)].watched);
      }
    }
  }

  static void switch_to(ucontext_t* from, ucontext_t* to, void* watched) {
    watch::go_to(watched);
    swapcontext(from, to);
  }

  static void enter(unsigned low, unsigned high, int thread) {
    auto* self = reinterpret_cast<Emulator*>(uintptr_t(uint64_t(high) << 32 | low));
    self->work(thread);
  }

  void work(int thread) {
    watch::arrive(&begin_);
    (*body_)(EmulatedBlock{this, thread});
    Fiber& fiber = fibers_[size_t(thread)];
    void* const back = main_watched_;
    watch::leave(&end_);
    {
      const watch::Pause pause;
      fiber.is_done = true;
      --left_;
      ++progress_;
    }
    switch_to(&fiber.context, &main_, back);
  }

  const std::function<void(const EmulatedBlock&)>* body_ = nullptr;
  int64_t index_ = 0, progress_ = 0;
  int left_ = 0;
  char begin_, end_;
  ucontext_t main_;
  void* main_watched_ = watch::current();
  char* shared_ = nullptr;
  std::vector<char> memory_;
  std::vector<Fiber> fibers_;
  std::vector<int> order_;
  bool is_reverse_ = false, is_random_ = false;
  std::mt19937 random_;
};

inline int64_t EmulatedBlock::index() const { return emulator->index(); }
inline void EmulatedBlock::sync() const {
  emulator->meet(number, Emulator::kOfBlock, 0, emulator->threads());
}
inline void EmulatedBlock::warp_sync() const {
  const size_t first = size_t(number / kWarp * kWarp);
  emulator->meet(number, Emulator::kOfWarp, first, first + kWarp);
}
inline char* EmulatedBlock::shared() const { return emulator->shared(); }

template <int kThreads>
void EmulatedBlock::sync_some() const {
  const size_t end = emulator->threads();
  emulator->meet(number, Emulator::kOfSome, end - kThreads, end);
}

template <class T>
T EmulatedBlock::shuffle_xor(T value, int mask) const {
  return emulator->exchange(number, number ^ mask, value);
}

class EmulatedLauncher {
 public:
  explicit EmulatedLauncher(const Where& where) : where_(where) {}

  // Small, so that small scans are cut into many parts; MMSSM_EMULATOR_SIZE says how
  // many multiprocessors there are.
  int64_t multiprocessors() const {
    const char* size = std::getenv("MMSSM_EMULATOR_SIZE");
    return size ? std::atoll(size) : 2;
  }
  int64_t max_shared() const { return 99 * 1024; }
  // What no kernel has written is NaN.
  void* allocate(int64_t bytes) {
    auto* outside = static_cast<char*>(where_.allocate(Fence::around(bytes)));
    memory_.emplace_back(Fence::fill(outside, bytes), bytes);
    return memory_.back().first;
  }

  template <class Kernel>
  void launch(int64_t blocks, int64_t shared, const typename Kernel::Args& args) const {
    const std::function<void(const EmulatedBlock&)> body =
        [&](const EmulatedBlock& block) { Kernel::run(block, args); };
    Emulator emulator(Kernel::kThreads);
    for (int64_t i = 0; i < blocks; ++i) {
      emulator.run(emulator.is_reverse() ? blocks - 1 - i : i, shared, body);
    }
    for (const auto& [inside, bytes] : memory_) {
      Fence::check(inside, bytes);
    }
  }

 private:
  const Where& where_;
  std::vector<std::pair<char*, int64_t>> memory_;
};

}  // namespace cuda
}  // namespace mmssm
