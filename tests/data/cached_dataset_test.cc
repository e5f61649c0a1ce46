// SPDX-License-Identifier: Apache-2.0
#include "framework/data/cached_dataset.h"

#include "framework/core/error.h"

#include "tests/data/moving_sample.h"
#include "tests/support/tensor_matchers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

using ::testing::ElementsAre;
using testing::error_message;
using ::testing::IsEmpty;

TEST(CachedDataset, LoadsAnEntryOnceAndKeepsToItsBudget) {
  auto source = std::make_shared<testing::MemoryDataset>(std::vector<Sample>{
      testing::numbered_sample("a", {4, 5, 6}), testing::numbered_sample("b", {4, 5, 6})});
  std::vector<Index3> reads;
  source->on_read = [&](std::size_t, const std::string&, const Region& region) {
    reads.push_back(region.size);
  };
  const CachedDataset cached(source, 4 * 120 + 10);  // one image
  const Region slice{{1, 0, 0}, {1, 5, 6}};
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(at::equal(cached.read(0, "image", slice).data,
                          source->read_all(0, "image").data.narrow(1, 1, 1)));
  }
  EXPECT_EQ(cached.bytes_used(), 480);
  reads.clear();
  cached.read(0, "image", slice);
  EXPECT_THAT(reads, IsEmpty());
  cached.read(1, "image", slice);  // does not fit: a region at a time
  EXPECT_THAT(reads, ElementsAre(slice.size));
}

TEST(CachedDataset, KeepsLabelsInOneByte) {
  auto source = std::make_shared<testing::MemoryDataset>(
      std::vector<Sample>{testing::numbered_sample("a", {4, 5, 6})});
  const CachedDataset cached(source, 1000);
  const Entry label = cached.read_all(0, "label");
  EXPECT_EQ(label.data.scalar_type(), at::kLong);
  EXPECT_TRUE(at::equal(label.data, source->read_all(0, "label").data));
  EXPECT_EQ(cached.bytes_used(), 120);
}

TEST(CachedDataset, TriesAgainAfterAFailure) {
  auto source = std::make_shared<testing::MemoryDataset>(
      std::vector<Sample>{testing::numbered_sample("a", {4, 5, 6})});
  bool broken = true;
  source->on_read = [&](auto, auto&, auto&) {
    if (broken) throw io_error("no disk");
  };
  const CachedDataset cached(source, 1000);
  error_message("io", [&] { cached.read_all(0, "image"); });
  EXPECT_EQ(cached.bytes_used(), 0);
  broken = false;
  EXPECT_EQ(cached.read_all(0, "image").data.numel(), 120);
}

}  // namespace
}  // namespace triptych
