// SPDX-License-Identifier: Apache-2.0
#include "framework/data/epoch_order.h"

#include "framework/core/random.h"

#include <bit>
#include <numeric>
#include <utility>

namespace triptych {
namespace {

constexpr std::int64_t kListed = 4096;

}  // namespace

EpochOrder::EpochOrder(std::int64_t count, std::uint64_t seed, std::int64_t epoch)
    : count_(count), key_(mix_keys(seed, {hash_name("epoch"), static_cast<std::uint64_t>(epoch)})) {
  if (count > kListed) {
    half_bits_ = (std::bit_width(static_cast<std::uint64_t>(count - 1)) + 1) / 2;
    return;
  }
  order_.resize(static_cast<std::size_t>(count));
  std::iota(order_.begin(), order_.end(), 0);
  RandomStream random(key_);
  for (std::int64_t i = count - 1; i > 0; --i) {  // Fisher-Yates
    std::swap(order_[static_cast<std::size_t>(i)],
              order_[static_cast<std::size_t>(random.integer(i + 1))]);
  }
}

std::int64_t EpochOrder::operator[](std::int64_t place) const {
  if (!order_.empty()) return order_[static_cast<std::size_t>(place)];
  // A Feistel network permutes a power of four; walking along its cycles until an element below
  // `count` is met permutes 0 .. count - 1 (Black and Rogaway, 2002).
  auto value = static_cast<std::uint64_t>(place);
  do {
    value = feistel(value);
  } while (value >= static_cast<std::uint64_t>(count_));
  return static_cast<std::int64_t>(value);
}

std::uint64_t EpochOrder::feistel(std::uint64_t value) const {
  const std::uint64_t mask = (std::uint64_t{1} << half_bits_) - 1;
  std::uint64_t left = value >> half_bits_;
  std::uint64_t right = value & mask;
  for (std::uint64_t round = 0; round < 6; ++round) {
    const std::uint64_t mixed = left ^ (mix_keys(key_, {round, right}) & mask);
    left = right;
    right = mixed;
  }
  return left << half_bits_ | right;
}

}  // namespace triptych
