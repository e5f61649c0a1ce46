// SPDX-License-Identifier: Apache-2.0
#include "framework/data/volume_store.h"

#include "tests/support/tensor_matchers.h"

#include <fstream>

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

using testing::error_message;

const std::filesystem::path kFolder = ::testing::TempDir();

TEST(VolumeStore, StartsAtZeroAndGivesTheSameBitsInMemoryAndInAFile) {
  MemoryBudget large(std::int64_t{1} << 30);
  MemoryBudget none(0);
  VolumeStore memory(2, {5, 6, 7}, at::kFloat, large, kFolder);
  VolumeStore file(2, {5, 6, 7}, at::kFloat, none, kFolder);
  EXPECT_TRUE(memory.in_memory());
  EXPECT_FALSE(file.in_memory());
  EXPECT_EQ(file.tensor().abs().sum().item<double>(), 0.0);
  const at::Tensor values = at::randn({2, 5, 6, 7});
  for (VolumeStore* store : {&memory, &file}) {
    for (std::int64_t d = 0; d < 5; ++d) {
      store->tensor().select(1, d).copy_(values.select(1, d));
      store->release_pages();
    }
    EXPECT_TRUE(at::equal(store->tensor(), values));
  }
}

TEST(VolumeStore, ReadsAndWritesRegions) {
  MemoryBudget large(std::int64_t{1} << 30);
  MemoryBudget none(0);
  const Region region{{1, 2, 3}, {3, 2, 4}};
  const at::Tensor values = at::randn({2, 3, 2, 4}, at::kDouble);
  for (MemoryBudget* budget : {&large, &none}) {
    VolumeStore store(2, {5, 6, 7}, at::kFloat, *budget, kFolder);
    store.write(region, values);
    EXPECT_TRUE(at::equal(store.read(region), values.to(at::kFloat)));
    EXPECT_TRUE(at::equal(store.read(region, 1), values[1].to(at::kFloat)));
    EXPECT_EQ(store.tensor().ne(0.0).sum().item<std::int64_t>(), values.numel());
    EXPECT_TRUE(at::equal(store.read({{0, 0, 0}, {5, 6, 7}}), store.tensor()));
  }
}

/// A line such as "VmHWM: 1234 kB" of this process, in bytes.
std::int64_t memory_of_process(const std::string& key) {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    std::int64_t kilobytes = 0;
    if (word == key + ":" && status >> kilobytes) return kilobytes * 1024;
  }
  return -1;
}

TEST(VolumeStore, KeepsLittleOfALargeFileInMemory) {
  MemoryBudget none(0);
  const Index3 shape{240, 1024, 256};  // 252 MB
  VolumeStore store(1, shape, at::kFloat, none, kFolder);
  std::ofstream reset("/proc/self/clear_refs");
  if (!(reset << 5 << std::flush)) GTEST_SKIP() << "the peak of memory cannot be reset here";
  const std::int64_t before = memory_of_process("VmHWM");
  const at::Tensor ones = at::ones({1, 8, 1024, 256}, at::kFloat);
  for (std::int64_t first = 0; first < shape[0]; first += 8)
    store.write({{first, 0, 0}, {8, shape[1], shape[2]}}, ones);
  // A slice along W touches every page of the file.
  const Region slice{{0, 0, 100}, {shape[0], shape[1], 1}};
  EXPECT_EQ(store.read(slice).sum().item<double>(), static_cast<double>(slice.voxels()));
  EXPECT_LT(memory_of_process("VmHWM") - before, std::int64_t{110} << 20);
}

TEST(VolumeStore, TakesItsBytesFromTheBudgetAndGivesThemBack) {
  MemoryBudget budget(1000);
  {
    VolumeStore first(1, {10, 10, 5}, at::kByte, budget, kFolder);
    EXPECT_EQ(budget.left(), 500);
    VolumeStore second(1, {10, 10, 6}, at::kByte, budget, kFolder);
    EXPECT_FALSE(second.in_memory());
    EXPECT_EQ(budget.left(), 500);
  }
  EXPECT_EQ(budget.left(), 1000);
}

TEST(VolumeStore, LeavesNoFileBehind) {
  const auto folder = kFolder / "empty_scratch";
  std::filesystem::create_directories(folder);
  MemoryBudget none(0);
  VolumeStore store(1, {4, 4, 4}, at::kShort, none, folder);
  store.tensor().fill_(3);
  EXPECT_TRUE(std::filesystem::is_empty(folder));
}

TEST(VolumeStore, ItsTensorOutlivesIt) {
  at::Tensor tensor;
  {
    MemoryBudget none(0);
    VolumeStore store(1, {4, 4, 4}, at::kFloat, none, kFolder);
    tensor = store.tensor();
    tensor.fill_(2.0);
  }
  EXPECT_EQ(tensor.sum().item<double>(), 128.0);
}

TEST(VolumeStore, TellsAFullDiskBeforeAnythingIsWritten) {
  MemoryBudget none(0);
  // 2^62 bytes: no disk has that.
  EXPECT_THAT(
      error_message("io",
                    [&] {
                      VolumeStore(1, {1 << 20, 1 << 20, 1 << 20}, at::kFloat, none, kFolder);
                    }),
      ::testing::HasSubstr("a scratch file of"));
  EXPECT_THAT(error_message("io",
                            [&] {
                              VolumeStore(1, {4, 4, 4}, at::kFloat, none, "/no/such/folder");
                            }),
              ::testing::HasSubstr("/no/such/folder: no scratch file can be made"));
}

TEST(BytesFromText, ReadsUnits) {
  EXPECT_EQ(bytes_from_text("512MB"), 512000000);
  EXPECT_EQ(bytes_from_text("2GB"), 2000000000);
  EXPECT_EQ(bytes_from_text("1.5GiB"), 1610612736);
  EXPECT_EQ(bytes_from_text("1 KiB"), 1024);
  EXPECT_EQ(bytes_from_text("4096"), 4096);
  for (const char* bad : {"", "GB", "-1", "2 apples", "nan", "1e30"}) {
    EXPECT_THAT(error_message("schema", [&] { bytes_from_text(bad); }),
                ::testing::HasSubstr("expected a number of bytes"))
        << bad;
  }
}

}  // namespace
}  // namespace triptych
