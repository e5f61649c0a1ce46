// SPDX-License-Identifier: Apache-2.0
#include "framework/image/transform_io.h"

#include "tests/app/registered_pair.h"

#include <fstream>

namespace triptych {
namespace {
namespace fs = std::filesystem;
using ::testing::HasSubstr;

class Register : public RegisteredPair {};
class Warp : public RegisteredPair {};

TEST_F(Register, AlignsScoresAndWritesAPair) {
  const auto finished = align({"output=all",
                               "input.fixed_labels=fixed_labels.nii.gz",
                               "input.moving_labels=moving_labels.nii.gz",
                               "input.fixed_mask=fixed_mask.nii.gz",
                               "input.fixed_landmarks=fixed.csv",
                               "input.moving_landmarks=moving.csv",
                               "start.model=translation"});
  ASSERT_EQ(finished.code, 0) << finished.err;
  EXPECT_THAT(finished.err, HasSubstr("moving.csv: landmarks without a partner: stray"));
  for (const char* word : {"before", "start", "deformation", "tre_mm", "dice"})
    EXPECT_THAT(finished.out, HasSubstr(word));
  for (const char* file : {"transform.h5",
                           "warped.nii.gz",
                           "warped_labels.nii.gz",
                           "warped_landmarks.csv",
                           "displacement.nii.gz",
                           "checkerboard.png",
                           "overlay.png",
                           "before_after.png",
                           "deformed_grid.png",
                           "log_jacobian.png",
                           "registration.json"})
    EXPECT_TRUE(fs::exists(folder_ / "all" / file)) << file;

  const nlohmann::json json = record("all");
  const nlohmann::json& before = json["stages"].front();
  const nlohmann::json& after = json["stages"].back();
  EXPECT_NEAR(before["tre"]["mean"].get<double>(), kSpacing * kShiftVoxels.norm(), 1e-9);
  EXPECT_LT(after["tre"]["mean"].get<double>(), 0.5 * before["tre"]["mean"].get<double>());
  EXPECT_GT(after["dice_mean"].get<double>(), before["dice_mean"].get<double>() + 0.1);
  EXPECT_GT(after["local_ncc"].get<double>(), before["local_ncc"].get<double>());
  EXPECT_TRUE(after.contains("hd95"));
  EXPECT_EQ(json["landmarks"]["only_moving"][0], "stray");
  EXPECT_EQ(json["settings"]["start"]["model"], "translation");
  EXPECT_LT(json["deformation"]["folded_share"].get<double>(), 0.05);

  const Volume warped = read_volume(path("all/warped.nii.gz"));
  const Volume fixed = read_volume(path("fixed.nii.gz"));
  EXPECT_EQ(warped.data.scalar_type(), at::kByte);
  EXPECT_TRUE(same_grid(warped.geometry, fixed.geometry));
}

TEST_F(Register, WritesATransformThatWarpAppliesAlike) {
  ASSERT_EQ(align({"output=pair",
                   "input.moving_labels=moving_labels.nii.gz",
                   "input.fixed_landmarks=fixed.csv",
                   "fill=0",
                   "pictures=false"})
                .code,
            0);
  EXPECT_FALSE(fs::exists(folder_ / "pair/overlay.png"));
  const auto warped =
      [&](const std::string& transform, const std::string& input, const std::string& output) {
        const auto finished =
            run({"warp", "transform=" + transform, input, "grid=fixed.nii.gz", "output=" + output});
        EXPECT_EQ(finished.code, 0) << finished.err;
        return read_volume(path(output)).data;
      };
  EXPECT_TRUE(at::equal(warped("pair/transform.h5", "input.moving=moving.nii.gz", "w.nii.gz"),
                        read_volume(path("pair/warped.nii.gz")).data));
  EXPECT_TRUE(
      at::equal(warped("pair/transform.h5", "input.labels=moving_labels.nii.gz", "l.nii.gz"),
                read_volume(path("pair/warped_labels.nii.gz")).data));
  // One field in single precision in place of the chain in double.
  const at::Tensor through_field =
      warped("pair/displacement.nii.gz", "input.moving=moving.nii.gz", "f.mha");
  const at::Tensor difference =
      (through_field.to(at::kFloat) - read_volume(path("pair/warped.nii.gz")).data.to(at::kFloat))
          .abs();
  EXPECT_LE(difference.max().item<double>(), 1.0);
  EXPECT_LT(difference.mean().item<double>(), 0.01);

  ASSERT_EQ(
      run({"warp", "transform=pair/transform.h5", "input.points=fixed.csv", "output=there.csv"})
          .code,
      0);
  const Landmarks there = read_landmarks(path("there.csv"));
  const Landmarks written = read_landmarks(path("pair/warped_landmarks.csv"));
  const Landmarks fixed = read_landmarks(path("fixed.csv"));
  ASSERT_EQ(run({"warp",
                 "transform=pair/transform.h5",
                 "input.points=there.csv",
                 "inverse=true",
                 "output=back.csv"})
                .code,
            0);
  const Landmarks back = read_landmarks(path("back.csv"));
  const SpatialTransform transform = read_transform(path("pair/transform.h5"));
  for (std::size_t i = 0; i < fixed.size(); ++i) {
    EXPECT_LT((there[i].position_mm - written[i].position_mm).norm(), 1e-9);
    EXPECT_LT((there[i].position_mm - transform.map(fixed[i].position_mm)).norm(), 1e-9);
    EXPECT_LT((back[i].position_mm - fixed[i].position_mm).norm(), 1e-3);
  }
}

TEST_F(Register, StartsFromPointsThatAreKnown) {
  for (const char* model : {"translation", "rigid", "similarity", "affine"}) {
    ASSERT_EQ(align({"output=points",
                     "overwrite=true",
                     "start_from=landmarks",
                     "input.fixed_landmarks=fixed.csv",
                     "input.moving_landmarks=moving.csv",
                     "deformation.enabled=false",
                     "pictures=false",
                     std::string("start.model=") + model})
                  .code,
              0);
    EXPECT_LT(record("points")["stages"].back()["tre"]["largest"].get<double>(), 1e-6) << model;
  }
  EXPECT_TRUE(read_transform(path("points/transform.h5")).is_affine());
  ASSERT_EQ(align({"output=labels",
                   "start_from=labels",
                   "input.fixed_labels=fixed_labels.nii.gz",
                   "input.moving_labels=moving_labels.nii.gz",
                   "deformation.enabled=false",
                   "start.model=translation"})
                .code,
            0);
  const Eigen::Vector3d offset = read_transform(path("labels/transform.h5")).affine().offset;
  EXPECT_LT(offset.norm(), 3.0 * kSpacing * kShiftVoxels.norm());
  ASSERT_EQ(
      align({"output=given", "initial=points/transform.h5", "deformation.enabled=false"}).code, 0);
  EXPECT_TRUE(read_transform(path("given/transform.h5"))
                  .affine()
                  .offset.isApprox(-kSpacing * kShiftVoxels, 1e-6));
}

TEST_F(Register, WorksOnACoarserGridWithinItsMemory) {
  const auto finished = align({"output=coarse",
                               "memory=3MB",
                               "displacement=false",
                               "pictures=false",
                               "input.fixed_landmarks=fixed.csv",
                               "input.moving_landmarks=moving.csv"});
  ASSERT_EQ(finished.code, 0) << finished.err;
  EXPECT_FALSE(fs::exists(folder_ / "coarse/displacement.nii.gz"));
  EXPECT_EQ(read_header(path("coarse/warped.nii.gz")).geometry.shape, kShape);
}

TEST_F(Register, LeavesOutADeformationThatMakesImagesLessAlike) {
  const auto good = align({"output=alike", "displacement=false", "pictures=false"});
  ASSERT_EQ(good.code, 0) << good.err;
  const fs::path spine = fs::path(TRIPTYCH_SOURCE_DIR) / "../shared/data/spine_t1_t2";
  if (!fs::exists(spine)) GTEST_SKIP() << "no shared data beside the project";
  const auto finished = testing::run_program({"register",
                                              "input.fixed=" + (spine / "t2.nii.gz").string(),
                                              "input.moving=" + (spine / "t1.nii.gz").string(),
                                              "output=spine",
                                              "displacement=false",
                                              "pictures=false"},
                                             folder_);
  ASSERT_EQ(finished.code, 0) << finished.err;
  EXPECT_THAT(finished.err, HasSubstr("deformation: the descent is left out"));
}

TEST_F(Register, AlignsPicturesInPixels) {
  const auto picture =
      [&](const std::string& name, std::int64_t x, std::int64_t y, std::int64_t channels) {
        Volume image{
            world().narrow(1, 20, 1).narrow(2, y, 40).narrow(3, x, 44).to(at::kByte), {}, "", {}};
        image.data = image.data.expand({channels, 1, 40, 44}).contiguous();
        image.geometry.shape = {1, 40, 44};
        image.geometry.spacing_known = false;
        write_volume(path(name), image);
      };
  picture("fixed.png", 6, 6, 1);
  picture("moving.png", 8, 5, 3);
  std::ofstream(path("f.csv")) << "id,col_px,row_px\na,10,12\nb,30,20\nc,22,30\n";
  std::ofstream(path("m.csv")) << ",X,Y\na,8,13\nb,28,21\nc,20,31\n";
  const auto finished = run({"register",
                             "input.fixed=fixed.png",
                             "input.moving=moving.png",
                             "output=flat",
                             "input.fixed_landmarks=f.csv",
                             "input.moving_landmarks=m.csv",
                             "fill=0",
                             "start_from=landmarks"});
  ASSERT_EQ(finished.code, 0) << finished.err;
  EXPECT_THAT(finished.out, HasSubstr("tre_px"));
  EXPECT_EQ(record("flat")["unit"], "px");
  EXPECT_LT(record("flat")["stages"][1]["tre"]["largest"].get<double>(), 1e-6);
  const Volume warped = read_volume(path("flat/warped.png"));
  EXPECT_EQ(warped.data.sizes(), (at::IntArrayRef{3, 1, 40, 44}));
  const auto again = run({"warp",
                          "transform=flat/transform.h5",
                          "input.moving=moving.png",
                          "grid=fixed.png",
                          "output=again.png"});
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_TRUE(at::equal(read_volume(path("again.png")).data, warped.data));
  ASSERT_EQ(run({"warp",
                 "transform=flat/displacement.nii.gz",
                 "input.points=f.csv",
                 "grid=fixed.png",
                 "output=there.csv"})
                .code,
            0);
  EXPECT_NEAR(read_landmarks(path("there.csv"))[1].position_mm.x(), 28.0, 0.5);
  EXPECT_THAT(
      failure({"warp", "transform=flat/transform.h5", "input.points=f.csv", "output=no.csv"}, 1),
      HasSubstr("grid="));
}

TEST_F(Warp, AppliesATransformOfSlicer) {
  std::ofstream(path("shift.tfm"))
      << "#Insight Transform File V1.0\n#Transform 0\nTransform: AffineTransform_double_3_3\n"
         "Parameters: 1 0 0 0 1 0 0 0 1 -1 1.5 -0.5\nFixedParameters: 0 0 0\n";
  ASSERT_EQ(run({"warp",
                 "transform=shift.tfm",
                 "input.moving=moving.nii.gz",
                 "grid=fixed.nii.gz",
                 "output=shifted.mha",
                 "fill=9"})
                .code,
            0);
  const at::Tensor shifted = read_volume(path("shifted.mha")).data;
  const at::Tensor fixed = read_volume(path("fixed.nii.gz")).data;
  const auto inner = [](const at::Tensor& t) {
    return t.narrow(1, 4, 28).narrow(2, 4, 32).narrow(3, 4, 36);
  };
  EXPECT_TRUE(at::equal(inner(shifted), inner(fixed)));
  EXPECT_EQ(shifted[0][0][0][0].item<int>(), 9);
  ASSERT_EQ(run({"warp",
                 "transform=shift.tfm",
                 "input.moving=fixed.nii.gz",
                 "inverse=true",
                 "output=back.mha"})
                .code,
            0);
  EXPECT_TRUE(at::equal(inner(read_volume(path("back.mha")).data),
                        inner(read_volume(path("moving.nii.gz")).data)));
}

}  // namespace
}  // namespace triptych
