// Runs kernels on a CPU, to test them where there is no GPU: every thread of a block is
// a fiber, and `sync` and `shuffle_xor` are the only places where one goes on to the
// next. Threads run in one order or in the reverse (MMSSM_EMULATOR_ORDER=reverse):
// where a result depends on it, a meeting of threads is missing.

#pragma once

#include <ucontext.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "device.cuh"
#include "kernels.h"

namespace mmssm {
namespace cuda {

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

class Emulator {
 public:
  enum Meeting { kOfBlock, kOfSome, kOfWarp, kMeetings };

  Emulator() {
    const char* order = std::getenv("MMSSM_EMULATOR_ORDER");
    is_reverse_ = order && std::string(order) == "reverse";
  }

  // Runs one block. Shared memory is NaN at first, as is what a kernel never wrote.
  void run(
      int threads, int64_t index, int64_t shared,
      const std::function<void(const EmulatedBlock&)>& body) {
    body_ = &body;
    index_ = index;
    shared_.assign(size_t(shared), char(0xff));
    fibers_.resize(size_t(threads));
    slots_.resize(size_t(threads));
    for (int i = 0; i < threads; ++i) {
      Fiber& fiber = fibers_[size_t(i)];
      if (!fiber.stack) {
        fiber.stack.reset(new char[kStack]);
      }
      fiber.is_done = false;
      std::fill_n(fiber.meetings, int(kMeetings), 0);
      getcontext(&fiber.context);
      fiber.context.uc_stack.ss_sp = fiber.stack.get();
      fiber.context.uc_stack.ss_size = kStack;
      fiber.context.uc_link = &main_;
      const auto self = reinterpret_cast<uintptr_t>(this);
      makecontext(
          &fiber.context, reinterpret_cast<void (*)()>(&Emulator::enter), 3,
          unsigned(self), unsigned(uint64_t(self) >> 32), i);
    }
    for (bool is_done = false; !is_done;) {
      is_done = true;
      for (int i = 0; i < threads; ++i) {
        const int at = is_reverse_ ? threads - 1 - i : i;
        if (!fibers_[size_t(at)].is_done) {
          is_done = false;
          current_ = at;
          swapcontext(&main_, &fibers_[size_t(at)].context);
        }
      }
    }
  }

  int64_t index() const { return index_; }
  size_t threads() const { return fibers_.size(); }
  char* shared() { return shared_.data(); }
  double* slot(int thread) { return &slots_[size_t(thread)]; }

  // Makes a thread wait for those of [first, end) that have not ended.
  void meet(int thread, Meeting meeting, size_t first, size_t end) {
    const int64_t mine = ++fibers_[size_t(thread)].meetings[meeting];
    const auto all_are_there = [&] {
      for (size_t i = first; i < end && i < fibers_.size(); ++i) {
        if (!fibers_[i].is_done && fibers_[i].meetings[meeting] < mine) {
          return false;
        }
      }
      return true;
    };
    do {  // The others at least get a turn.
      swapcontext(&fibers_[size_t(thread)].context, &main_);
    } while (!all_are_there());
  }

 private:
  static constexpr size_t kStack = 64 * 1024;

  struct Fiber {
    ucontext_t context;
    std::unique_ptr<char[]> stack;
    bool is_done = true;
    int64_t meetings[kMeetings] = {};
  };

  static void enter(unsigned low, unsigned high, int thread) {
    auto* self = reinterpret_cast<Emulator*>(uintptr_t(uint64_t(high) << 32 | low));
    (*self->body_)(EmulatedBlock{self, thread});
    self->fibers_[size_t(thread)].is_done = true;
  }

  const std::function<void(const EmulatedBlock&)>* body_ = nullptr;
  int64_t index_ = 0;
  int current_ = 0;
  bool is_reverse_ = false;
  ucontext_t main_;
  std::vector<char> shared_;
  std::vector<Fiber> fibers_;
  std::vector<double> slots_;
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
  std::memcpy(emulator->slot(number), &value, sizeof value);
  warp_sync();
  T other;
  std::memcpy(&other, emulator->slot(number ^ mask), sizeof other);
  warp_sync();
  return other;
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
  void* allocate(int64_t bytes) const {
    return std::memset(where_.allocate(bytes), 0xff, size_t(bytes));
  }

  template <class Kernel>
  void launch(int64_t blocks, int64_t shared, const typename Kernel::Args& args) const {
    Emulator emulator;
    for (int64_t i = 0; i < blocks; ++i) {
      emulator.run(
          Kernel::kThreads, i, shared,
          [&](const EmulatedBlock& block) { Kernel::run(block, args); });
    }
  }

 private:
  const Where& where_;
};

}  // namespace cuda
}  // namespace mmssm
