// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

namespace triptych {

/// A random order of 0 .. count - 1 that is computed place by place, so that nothing has to be
/// remembered between steps. Depends on (count, seed, epoch) alone.
class EpochOrder {
 public:
  EpochOrder(std::int64_t count, std::uint64_t seed, std::int64_t epoch);
  std::int64_t operator[](std::int64_t place) const;

 private:
  std::uint64_t feistel(std::uint64_t value) const;

  std::int64_t count_;
  std::uint64_t key_;
  int half_bits_ = 0;
  std::vector<std::int64_t>
      order_;  ///< of small orders, which Feistel networks mix poorly: shuffled outright
};

}  // namespace triptych
