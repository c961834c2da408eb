// Bilinear samples of a map as the input of a scan, for one block of channels at a
// time: made before the paths run, and never stored. The backward makes them again,
// and takes their gradient apart when the paths have run.

#pragma once

#include "blocks.h"
#include "deform_sample.h"

namespace mmssm {
namespace MMSSM_ISA {

// One tap of one token, for every block of channels of its group. Rows are those of a
// block's tile, whose last is zero.
template <class T>
struct MapTap {
  T weight[4];        // of the corners, times that of the tap if it is by token
  int32_t read[4];    // rows of the corners; the last where there is no weight
  int32_t corner[4];  // the same, the last only outside of the map

  MapTap() = default;

  MapTap(const Tap<T>& tap, T scale, int32_t zeros) {
    for (int64_t c = 0; c < 4; ++c) {
      corner[c] = tap.token[c] < 0 ? zeros : int32_t(tap.token[c]);
      // What has no weight is not read: it may be NaN.
      read[c] = tap.weight[c] != 0 ? corner[c] : zeros;
      weight[c] = tap.weight[c] != 0 ? tap.weight[c] * scale : 0;
    }
    // The weight of the tap may be NaN wherever it is.
    if (tap.kind != Tap<T>::kInside) {
      weight[0] = tap.kind == Tap<T>::kNan ? T(__builtin_nan("")) : scale * 0;
    }
  }
};

// Turns (t, vector) into the sums over lanes (t).
template <class T>
inline void sum_rows(T* sums, const Vec<T>* rows, int64_t count) {
  for (int64_t t = 0; t < count; t += kWidth<T>) {
    *reinterpret_cast<Vec<T>*>(sums + t) = sum_lanes<T>(rows + t);
  }
}

// Rows of a tile (l, lane), copied unless they are neighbours.
template <class T>
inline const T* rows_of(const T* tile, const Places& tokens, T* copy) {
  if (!tokens.list) {
    return tile + tokens.first * kLanes;
  }
  for (int64_t t = 0; t < tokens.count; ++t) {
    std::memcpy(copy + t * kLanes, tile + tokens[t] * kLanes, sizeof(T) * kLanes);
  }
  return copy;
}

// One block of channels of the whole map, and what the taps of its tokens read.
template <class T>
class SampledMap {
 public:
  SampledMap(const Scan& s, Arena& arena, bool for_backward)
      : x_(arena.take<T>(size(s) + kLanes * bool(s.deform))),
        u_(arena.take<T>(size(s))),
        du_(arena.take<T>(for_backward ? size(s) : 0)),
        by_channel_(arena.take<T>(is_by_channel(s) ? taps(s) * kLanes : 0)),
        dby_channel_(
            arena.take<T>(for_backward && is_by_channel(s) ? taps(s) * kLanes : 0)),
        products_(arena.take<Vec<T>>(for_backward ? padded_corners(s) : 0)),
        sums_(arena.take<T>(for_backward ? padded_corners(s) : 0)) {}

  const T* x() const { return x_; }
  const T* u() const { return u_; }
  T* du() { return du_; }

  // Loads the block's channels and samples them.
  void load(const Scan& s, const Place& p) {
    const View& v = s.x[0];
    const int64_t filled = p.width < kLanes ? 0 : size(s);
    std::memset(x_ + filled, 0, sizeof(T) * (size(s) + kLanes - filled));
    std::memset(u_, 0, sizeof(T) * (size(s) - filled));  // idle lanes have no group
    load_tile(
        x_, kLanes, 1, v,
        {offset(v, p.n) + p.first * v.stride[2], neighbours(0, s.tokens), v.stride[1],
         p.width, v.stride[2]});
    if (is_by_channel(s)) {
      load_by_channel(*s.deform, p);
      each_group(s, p, [&](auto is_whole, int64_t g, const Bits<T>* lanes) {
        sample<is_whole.value, true>(s, p.n, g, lanes);
      });
    } else {
      each_group(s, p, [&](auto is_whole, int64_t g, const Bits<T>* lanes) {
        sample<is_whole.value, false>(s, p.n, g, lanes);
      });
    }
  }

  // Before the paths add to `du`.
  void clear_du(const Scan& s) { std::memset(du_, 0, sizeof(T) * size(s)); }

  // Passes `du` on: to `dx`, a tile (l + 1, lane) whose last row is waste, and to the
  // sums of the taps.
  void pass_back(
      const Scan& s, const Place& p, const BackwardPlan& plan, int64_t batch_part,
      int64_t block_part, T* dx) {
    for (int64_t i = 4 * taps(s); i < padded_corners(s); ++i) {
      products_[i] = Vec<T>{};
    }
    T* corner_sums =
        static_cast<T*>(plan.corner_sums) + block_part * s.batch * taps_in(s) * 4;
    if (!is_by_channel(s)) {
      each_group(s, p, [&](auto is_whole, int64_t g, const Bits<T>* lanes) {
        spread<is_whole.value, false>(s, p.n, g, lanes, corner_sums, dx);
      });
      return;
    }
    const int64_t count = taps(s) * kLanes;
    std::memset(dby_channel_, 0, sizeof(T) * count);
    each_group(s, p, [&](auto is_whole, int64_t g, const Bits<T>* lanes) {
      spread<is_whole.value, true>(s, p.n, g, lanes, corner_sums, dx);
    });
    T* sums = static_cast<T*>(plan.channel_sums) +
              (batch_part * num_blocks(s) + p.block) * count;
    for (int64_t i = 0; i < count; ++i) {
      sums[i] += dby_channel_[i];
    }
  }

  // ---- what is shared by all blocks

  static void find_taps(const Scan& s, int64_t begin, int64_t end) {
    MapTap<T>* found = static_cast<MapTap<T>*>(s.taps);
    each_tap(s, begin, end, [&](int64_t tap, const Tap<T>& place) {
      found[tap] = MapTap<T>(place, scale_of(*s.deform, tap), int32_t(s.tokens));
    });
  }

  static void reduce_taps(
      const Scan& s, const ScanGrad& grad, const BackwardPlan& plan, int64_t begin,
      int64_t end) {
    const DeformSample& d = *s.deform;
    const int64_t part = s.batch * taps_in(s) * 4;
    T* offset = static_cast<T*>(grad.offset);
    T* weight = static_cast<T*>(grad.weight);
    each_tap(s, begin, end, [&](int64_t tap, const Tap<T>& place) {
      T dot[4] = {};
      for (int64_t b = 0; b < plan.block_parts; ++b) {
        const T* from = static_cast<const T*>(plan.corner_sums) + b * part + tap * 4;
        for (int64_t c = 0; c < 4; ++c) {
          dot[c] += from[c];
        }
      }
      const TapGradient<T> sum(place, dot, scale_of(d, tap));
      offset[2 * tap] = sum.y;
      offset[2 * tap + 1] = sum.x;
      if (d.per_token) {
        weight[tap] = sum.weight;
      }
    });
  }

  static void reduce_channels(
      const Scan& s, const ScanGrad& grad, const BackwardPlan& plan, int64_t begin,
      int64_t end) {
    const int64_t count = taps(s) * kLanes;
    T* weight = static_cast<T*>(grad.weight);
    for (int64_t block = begin; block < end; ++block) {
      const Place p = make_place(s, 0, 0, block);
      for (int64_t m = 0; m < taps(s); ++m) {
        for (int64_t i = 0; i < p.width; ++i) {
          T sum = 0;
          for (int64_t b = 0; b < plan.batch_parts; ++b) {
            sum += static_cast<const T*>(plan.channel_sums)
                [(b * num_blocks(s) + block) * count + m * kLanes + i];
          }
          weight[(p.first + i) * taps(s) + m] = sum;
        }
      }
    }
  }

 private:
  static int64_t size(const Scan& s) { return s.deform ? s.tokens * kLanes : 0; }
  static int64_t taps(const Scan& s) { return s.deform ? s.deform->taps : 0; }
  static bool is_by_channel(const Scan& s) { return s.deform && !s.deform->per_token; }
  static int64_t padded_corners(const Scan& s) {
    return ceil_div(4 * taps(s), kWidth<T>) * kWidth<T>;
  }
  // Of one sample.
  static int64_t taps_in(const Scan& s) {
    return s.tokens * s.deform->groups * s.deform->taps;
  }

  static T scale_of(const DeformSample& d, int64_t tap) {
    return d.per_token ? static_cast<const T*>(d.weight)[tap] : 1;
  }

  // Calls `body` with the taps of the tokens (n, l) in [begin, end).
  template <class Body>
  static void each_tap(const Scan& s, int64_t begin, int64_t end, const Body& body) {
    const DeformSample& d = *s.deform;
    int64_t tap = begin * d.groups * d.taps;
    for (int64_t token = begin; token < end; ++token) {
      const MapPlace at = place_of(d, token % s.tokens);
      for (int64_t i = 0; i < d.groups * d.taps; ++i, ++tap) {
        const T* anchor = static_cast<const T*>(d.anchors) + i % d.taps * 2;
        const T* offset = static_cast<const T*>(d.offset) + 2 * tap;
        body(tap, Tap<T>(d, at, anchor, offset));
      }
    }
  }

  // Calls `body` with the groups that have channels in the block, and their lanes.
  template <class Body>
  static void each_group(const Scan& s, const Place& p, const Body& body) {
    const int64_t in_group = s.channels / s.deform->groups;
    const int64_t first = p.first / in_group;
    const int64_t last = (p.first + p.width - 1) / in_group;
    if (first == last) {
      return body(std::true_type{}, first, nullptr);
    }
    for (int64_t g = first; g <= last; ++g) {
      Bits<T> lanes[kVectors<T>];
      for (int64_t i = 0; i < kLanes; ++i) {
        const bool is_in = (p.first + i) / in_group == g;
        lanes[i / kWidth<T>][i % kWidth<T>] = is_in ? -1 : 0;
      }
      body(std::false_type{}, g, lanes);
    }
  }

  void load_by_channel(const DeformSample& d, const Place& p) {
    const T* from = static_cast<const T*>(d.weight) + p.first * d.taps;
    std::memset(by_channel_, 0, sizeof(T) * d.taps * kLanes);
    for (int64_t i = 0; i < p.width; ++i) {
      for (int64_t m = 0; m < d.taps; ++m) {
        by_channel_[m * kLanes + i] = from[i * d.taps + m];
      }
    }
  }

  static const MapTap<T>* taps_of(const Scan& s, int64_t n, int64_t g) {
    return static_cast<const MapTap<T>*>(s.taps) + n * taps_in(s) +
           g * s.deform->taps;
  }

  template <bool kWhole, bool kByChannel>
  void sample(const Scan& s, int64_t n, int64_t g, const Bits<T>* lanes) {
    constexpr int V = kVectors<T>;
    const int64_t count = s.deform->taps, step = s.deform->groups * count;
    const MapTap<T>* tap = taps_of(s, n, g);
    const Vec<T>* x = reinterpret_cast<const Vec<T>*>(x_);
    const Vec<T>* by_channel = reinterpret_cast<const Vec<T>*>(by_channel_);
    Vec<T>* u = reinterpret_cast<Vec<T>*>(u_);
    for (int64_t l = 0; l < s.tokens; ++l, tap += step) {
      Vec<T> sum[V] = {};
      for (int64_t m = 0; m < count; ++m) {
        const MapTap<T>& t = tap[m];
        for (int v = 0; v < V; ++v) {
          const Vec<T> value = between(t, x + v);
          sum[v] += kByChannel ? by_channel[m * V + v] * value : value;
        }
      }
      for (int v = 0; v < V; ++v) {
        if constexpr (kWhole) {
          u[l * V + v] = sum[v];
        } else {
          u[l * V + v] = lanes[v] ? sum[v] : u[l * V + v];
        }
      }
    }
  }

  // The weighted sum of the corners.
  static Vec<T> between(const MapTap<T>& t, const Vec<T>* x) {
    constexpr int V = kVectors<T>;
    return t.weight[0] * x[t.read[0] * V] + t.weight[1] * x[t.read[1] * V] +
           t.weight[2] * x[t.read[2] * V] + t.weight[3] * x[t.read[3] * V];
  }

  template <bool kWhole, bool kByChannel>
  void spread(
      const Scan& s, int64_t n, int64_t g, const Bits<T>* lanes, T* corner_sums,
      T* dx_tile) {
    constexpr int V = kVectors<T>;
    const int64_t count = s.deform->taps, step = s.deform->groups * count;
    const MapTap<T>* tap = taps_of(s, n, g);
    T* to_sums = corner_sums + 4 * (n * taps_in(s) + g * count);
    const Vec<T>* x = reinterpret_cast<const Vec<T>*>(x_);
    const Vec<T>* du = reinterpret_cast<const Vec<T>*>(du_);
    const Vec<T>* by_channel = reinterpret_cast<const Vec<T>*>(by_channel_);
    Vec<T>* dby_channel = reinterpret_cast<Vec<T>*>(dby_channel_);
    Vec<T>* dx = reinterpret_cast<Vec<T>*>(dx_tile);
    const auto only = [&](int v, Vec<T> value) {
      if constexpr (kWhole) {
        return value;
      } else {
        return lanes[v] ? value : Vec<T>{};
      }
    };
    for (int64_t l = 0; l < s.tokens; ++l, tap += step, to_sums += 4 * step) {
      for (int64_t m = 0; m < count; ++m) {
        const MapTap<T>& t = tap[m];
        Vec<T> drive[V];
        for (int v = 0; v < V; ++v) {
          drive[v] = du[l * V + v];
          if constexpr (kByChannel) {
            dby_channel[m * V + v] += only(v, drive[v] * between(t, x + v));
            drive[v] *= by_channel[m * V + v];
          }
        }
        for (int c = 0; c < 4; ++c) {
          const Vec<T>* corner = x + t.corner[c] * V;
          Vec<T>* to = dx + t.corner[c] * V;
          Vec<T> product = {};
          for (int v = 0; v < V; ++v) {
            product += only(v, drive[v] * corner[v]);
            to[v] += only(v, t.weight[c] * drive[v]);
          }
          products_[4 * m + c] = product;
        }
      }
      sum_rows<T>(sums_, products_, 4 * count);
      for (int64_t i = 0; i < 4 * count; ++i) {
        to_sums[i] += sums_[i];
      }
    }
  }

  T* x_;            // (l + 1, lane), the last row zero
  T* u_;            // (l, lane)
  T* du_;           // (l, lane)
  T* by_channel_;   // (m, lane), weights by channel
  T* dby_channel_;  // (m, lane)
  Vec<T>* products_;  // (m, 4), of one token, not yet summed over lanes
  T* sums_;           // (m, 4)
};

}  // namespace MMSSM_ISA
}  // namespace mmssm
