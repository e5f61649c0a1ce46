// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/entry_cache.h"

#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace triptych {
namespace {

int value_of(EntryCache& cache,
             const std::string& key,
             int value,
             std::atomic<int>& made,
             std::size_t bytes = 10) {
  return *cache.get<int>(key, [&] {
    ++made;
    return EntryCache::Made{std::make_shared<int>(value), bytes};
  });
}

TEST(EntryCache, MakesAnItemOnceAndForgetsTheLeastRecentlyUsed) {
  EntryCache cache(20);
  std::atomic<int> made{0};
  EXPECT_EQ(value_of(cache, "a", 1, made), 1);
  EXPECT_EQ(value_of(cache, "b", 2, made), 2);
  EXPECT_EQ(value_of(cache, "a", 9, made), 1);
  EXPECT_EQ(made, 2);
  value_of(cache, "c", 3, made);  // b goes
  EXPECT_EQ(cache.bytes(), 20U);
  EXPECT_EQ(value_of(cache, "a", 9, made), 1);
  EXPECT_EQ(value_of(cache, "b", 4, made), 4);
  EXPECT_EQ(made, 4);
}

TEST(EntryCache, KeepsTheLastItemWhateverItsSize) {
  EntryCache cache(5);
  std::atomic<int> made{0};
  value_of(cache, "big", 1, made, 100);
  value_of(cache, "big", 1, made, 100);
  EXPECT_EQ(made, 1);
  value_of(cache, "other", 2, made, 100);
  EXPECT_EQ(cache.bytes(), 100U);
}

TEST(EntryCache, ThreadsThatAskForOneItemWaitForOneMaking) {
  EntryCache cache(1000);
  std::atomic<int> made{0};
  std::vector<std::jthread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int key = 0; key < 20; ++key) {
        EXPECT_EQ(value_of(cache, std::to_string(key), key, made), key);
      }
    });
  }
  threads.clear();
  EXPECT_EQ(made, 20);
}

TEST(EntryCache, AFailedItemIsTriedAgain) {
  EntryCache cache(1000);
  EXPECT_THROW(cache.get<int>("a", []() -> EntryCache::Made { throw std::runtime_error("no"); }),
               std::runtime_error);
  std::atomic<int> made{0};
  EXPECT_EQ(value_of(cache, "a", 7, made), 7);
}

}  // namespace
}  // namespace triptych
