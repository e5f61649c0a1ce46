// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>

namespace triptych {

/// A reproducible stream of random numbers, cheap to create and equal on every platform.
///
/// Streams are derived, never shared: an item's stream is `RandomStream(seed, {step, index})`, so
/// results do not depend on which thread draws first or how many ranks there are. The state is a
/// SplitMix64-seeded xoshiro256** (Blackman and Vigna, 2018); normals use Box-Muller without
/// caching, so a stream's state is four words.
class RandomStream {
 public:
  explicit RandomStream(std::uint64_t seed, std::initializer_list<std::uint64_t> keys = {});

  /// An independent stream named by `key`; does not advance this one.
  RandomStream derive(std::uint64_t key) const;
  RandomStream derive(std::string_view name) const;

  std::uint64_t bits();
  /// Uniform in [0, 1).
  double uniform();
  /// Uniform in [low, high).
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  /// Uniform integer in [0, bound), bound >= 1.
  std::int64_t integer(std::int64_t bound);
  /// Standard normal.
  double normal();
  bool bernoulli(double probability) { return uniform() < probability; }
  /// Poisson with the given mean >= 0 (exact up to 30, normal approximation above).
  double poisson(double mean);

 private:
  std::uint64_t state_[4];
};

/// 64-bit mix of a seed and keys; the basis of every derived stream.
std::uint64_t mix_keys(std::uint64_t seed, std::initializer_list<std::uint64_t> keys);
/// FNV-1a of a name, for keys given as text.
std::uint64_t hash_name(std::string_view name);

}  // namespace triptych
