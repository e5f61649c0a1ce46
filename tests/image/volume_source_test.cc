// SPDX-License-Identifier: Apache-2.0
// Volumes that are made while they are written are the same files as volumes from memory.
#include "framework/core/file.h"
#include "framework/image/io.h"

#include "tests/image/sample_volumes.h"

namespace triptych {
namespace {

/// Large enough for several pieces in every format: 66 slices of 0.3 MB, 70 rows.
Volume large_volume(std::int64_t channels) {
  const Index3 shape{66, 70, 1000};
  const std::int64_t values = channels * shape[0] * shape[1] * shape[2];
  Volume volume{at::arange(values, at::kInt).remainder_(251).to(at::kFloat), {}, "", {}};
  volume.data = volume.data.view({channels, shape[0], shape[1], shape[2]});
  volume.geometry = oblique_geometry(shape);
  return volume;
}

class Streamed : public ::testing::TestWithParam<const char*> {};

TEST_P(Streamed, AsksForPiecesAndKeepsVoxelsAndGeometry) {
  const TemporaryFolder folder;
  const Volume volume = large_volume(2);
  VolumeSource source = source_of(volume);
  std::int64_t largest = 0;
  source.read = [&, whole = source.read](std::int64_t channel, const Region& region) {
    largest = std::max(largest, region.voxels());
    return whole(channel, region).clone();
  };
  write_volume(folder / GetParam(), source);
  EXPECT_LE(largest * 4, std::int64_t{20} << 20);
  EXPECT_LT(largest, volume.geometry.voxels());
  const Volume back = read_volume(folder / GetParam());
  EXPECT_TRUE(at::equal(back.data, volume.data));
  EXPECT_TRUE(same_grid(back.geometry, volume.geometry, 1e-6)) << back.geometry.text();
}

TEST_P(Streamed, ChoosesTheTypeOfLabelsFromAllPieces) {
  const TemporaryFolder folder;
  Volume labels = large_volume(1);
  labels.data[0][65][69][999] = 300.0;
  write_labels(folder / GetParam(), source_of(labels), {});
  EXPECT_EQ(read_header(folder / GetParam()).type, at::kInt);  // uint16 in the file
  EXPECT_TRUE(at::equal(read_labels(folder / GetParam()).data, labels.data.to(at::kLong)));
}

INSTANTIATE_TEST_SUITE_P(Formats,
                         Streamed,
                         ::testing::Values("v.nii", "v.nii.gz", "v.h5", "v.tif", "v/"));

TEST(WriteLabels, NamesTheVoxelThatIsNoWholeNumberAlsoInALaterPiece) {
  const TemporaryFolder folder;
  Volume labels = large_volume(1);
  labels.data[0][65][68][999] = 0.5;
  try {
    write_labels(folder / "v.nii", source_of(labels), {});
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("0.5 at voxel (x 999, y 68, z 65)"));
  }
  EXPECT_TRUE(folder.names().empty());
}

}  // namespace
}  // namespace triptych
