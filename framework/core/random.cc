// SPDX-License-Identifier: Apache-2.0
#include "framework/core/random.h"

#include "framework/core/error.h"

#include <cmath>
#include <numbers>

namespace triptych {
namespace {

std::uint64_t splitmix(std::uint64_t& state) {
  std::uint64_t z = (state += 0x9e3779b97f4a7c15ULL);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

std::uint64_t rotate_left(std::uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }

}  // namespace

std::uint64_t hash_name(std::string_view name) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return hash;
}

std::uint64_t mix_keys(std::uint64_t seed, std::initializer_list<std::uint64_t> keys) {
  std::uint64_t state = seed;
  std::uint64_t mixed = splitmix(state);
  for (const std::uint64_t key : keys) {
    state = mixed ^ (key + 0x632be59bd9b4e019ULL);
    mixed = splitmix(state);
  }
  return mixed;
}

RandomStream::RandomStream(std::uint64_t seed, std::initializer_list<std::uint64_t> keys) {
  std::uint64_t state = mix_keys(seed, keys);
  for (std::uint64_t& word : state_) word = splitmix(state);
}

RandomStream RandomStream::derive(std::uint64_t key) const {
  return RandomStream(state_[0] ^ rotate_left(state_[1], 17), {state_[2], state_[3], key});
}

RandomStream RandomStream::derive(std::string_view name) const { return derive(hash_name(name)); }

std::uint64_t RandomStream::bits() {
  const std::uint64_t result = rotate_left(state_[1] * 5, 7) * 9;
  const std::uint64_t t = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= t;
  state_[3] = rotate_left(state_[3], 45);
  return result;
}

double RandomStream::uniform() { return static_cast<double>(bits() >> 11) * 0x1.0p-53; }

std::int64_t RandomStream::integer(std::int64_t bound) {
  TRIPTYCH_ASSERT(bound >= 1);
  // Lemire's multiply-shift; the bias of at most bound / 2^64 is far below anything that could be
  // seen.
  const auto wide = static_cast<unsigned __int128>(bits()) * static_cast<std::uint64_t>(bound);
  return static_cast<std::int64_t>(wide >> 64);
}

double RandomStream::normal() {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
  return radius * std::cos(2.0 * std::numbers::pi * uniform());
}

double RandomStream::poisson(double mean) {
  if (mean <= 0.0) return 0.0;
  if (mean > 30.0) return std::max(0.0, std::round(mean + std::sqrt(mean) * normal()));
  const double limit = std::exp(-mean);
  double product = uniform();
  double count = 0.0;
  while (product > limit) {
    product *= uniform();
    count += 1.0;
  }
  return count;
}

}  // namespace triptych
