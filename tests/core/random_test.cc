// SPDX-License-Identifier: Apache-2.0
#include "framework/core/random.h"

#include <cmath>
#include <set>
#include <vector>

#include <gtest/gtest.h>

namespace triptych {
namespace {

TEST(RandomStream, GivesTheSameNumbersForTheSameSeedAndKeys) {
  RandomStream a(7, {3, 4});
  RandomStream b(7, {3, 4});
  for (int i = 0; i < 100; ++i) EXPECT_EQ(a.bits(), b.bits());
}

TEST(RandomStream, KeepsItsNumbersForever) {
  // Golden values: a change of the generator would silently change every published run.
  RandomStream stream(42, {1, 2});
  const std::uint64_t first = stream.bits();
  RandomStream again(42, {1, 2});
  EXPECT_EQ(first, again.bits());
  EXPECT_EQ(mix_keys(0, {}),
            0xe220a8397b1dcdafULL);  // first output of SplitMix64 seeded with 0 (Vigna's reference)
}

TEST(RandomStream, DiffersWithSeedKeyAndOrderOfKeys) {
  std::set<std::uint64_t> seen;
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    for (std::uint64_t key = 0; key < 10; ++key) {
      seen.insert(RandomStream(seed, {key, 1}).bits());
      seen.insert(RandomStream(seed, {1, key, 0}).bits());
    }
  }
  EXPECT_EQ(seen.size(), 200U);
}

TEST(RandomStream, DerivesWithoutAdvancing) {
  RandomStream a(1);
  RandomStream b(1);
  RandomStream child = a.derive("noise");
  EXPECT_EQ(a.bits(), b.bits());
  EXPECT_EQ(child.bits(), b.derive("noise").bits() * 0 + RandomStream(1).derive("noise").bits());
}

TEST(RandomStream, IsUniformAndNormalInItsMoments) {
  RandomStream stream(5);
  double sum = 0.0, normal_sum = 0.0, normal_square = 0.0, poisson_sum = 0.0;
  constexpr int kCount = 200000;
  for (int i = 0; i < kCount; ++i) {
    const double u = stream.uniform();
    ASSERT_GE(u, 0.0);
    ASSERT_LT(u, 1.0);
    sum += u;
    const double n = stream.normal();
    normal_sum += n;
    normal_square += n * n;
    poisson_sum += stream.poisson(4.0);
  }
  EXPECT_NEAR(sum / kCount, 0.5, 0.005);
  EXPECT_NEAR(normal_sum / kCount, 0.0, 0.01);
  EXPECT_NEAR(normal_square / kCount, 1.0, 0.02);
  EXPECT_NEAR(poisson_sum / kCount, 4.0, 0.03);
}

TEST(RandomStream, DrawsEveryIntegerBelowTheBound) {
  RandomStream stream(9);
  std::vector<int> counts(7);
  for (int i = 0; i < 7000; ++i) ++counts[static_cast<std::size_t>(stream.integer(7))];
  for (const int count : counts) EXPECT_NEAR(count, 1000, 150);
}

}  // namespace
}  // namespace triptych
