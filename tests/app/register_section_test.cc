// SPDX-License-Identifier: Apache-2.0
#include "framework/core/random.h"
#include "framework/image/resample.h"
#include "framework/image/transform_io.h"
#include "framework/ops/random_shapes.h"

#include "tests/app/registered_pair.h"

#include <Eigen/Geometry>
#include <fmt/core.h>

namespace triptych {
namespace {
namespace fs = std::filesystem;
using ::testing::HasSubstr;

/// A section of a volume, cut in a pose that is known.
class RegisterSection : public RegisteredPair {
 protected:
  static void SetUpTestSuite() {
    folder_ = testing::fresh_folder("section");
    Volume volume;
    volume.data = paint_random_shapes({64, 64, 64}, {}, RandomStream(2)).image.unsqueeze(0);
    volume.geometry.shape = {64, 64, 64};
    volume.geometry.spacing.setConstant(kSpacing);
    volume.geometry.origin = {10.0, -20.0, 5.0};
    write_volume(path("volume.nii.gz"), volume);
    AffineMap truth;
    truth.matrix = Eigen::AngleAxisd(2.1, Eigen::Vector3d(1.0, 2.0, -0.5).normalized()).matrix();
    Geometry plane;
    plane.shape = {1, 48, 52};
    plane.spacing.setConstant(kSpacing);
    const Eigen::Vector3d middle = plane.world_from_index({25.5, 23.5, 0.0});
    truth.offset = volume.geometry.world_from_index({34.0, 28.0, 30.0}) - truth.matrix * middle;
    Geometry placed = plane;
    placed.direction = truth.matrix;
    placed.origin = truth.offset;
    const Volume cut = resample(volume, placed, Interpolation::kLinear);
    write_volume(path("section.nii.gz"), Volume{cut.data, plane, "", {}});
    write_transform(path("truth.h5"), truth);
  }
  static testing::Finished place(const std::string& output, std::vector<std::string> more) {
    std::vector<std::string> words = {"register",
                                      "input.fixed=section.nii.gz",
                                      "input.moving=volume.nii.gz",
                                      "reference=truth.h5",
                                      "output=" + output};
    words.insert(words.end(), more.begin(), more.end());
    return run(words);
  }
};

TEST_F(RegisterSection, FindsItsPlaceInAVolume) {
  const auto finished = place("placed", {});
  ASSERT_EQ(finished.code, 0) << finished.err;
  EXPECT_THAT(finished.out, HasSubstr("reference_mm"));
  const nlohmann::json stages = record("placed")["stages"];
  EXPECT_GT(stages[0]["reference"]["centre"].get<double>(), 4.0 * kSpacing);
  EXPECT_LT(stages[1]["reference"]["rotation_deg"].get<double>(), 1.0);
  EXPECT_LT(stages[1]["reference"]["centre"].get<double>(), kSpacing);
  EXPECT_LT(stages[2]["reference"]["mean"].get<double>(), kSpacing);
  for (const char* file : {"before_after.png", "checkerboard.png", "overlay.png"})
    EXPECT_TRUE(fs::exists(folder_ / "placed" / file)) << file;
  const Volume section = read_volume(path("section.nii.gz"));
  const Volume plane = read_volume(path("placed/warped.nii.gz"));
  EXPECT_TRUE(same_grid(plane.geometry, section.geometry));
  const at::Tensor both = at::stack({plane.data.flatten(), section.data.flatten()});
  EXPECT_GT(at::corrcoef(both)[0][1].item<double>(), 0.95);
  // The stored transform takes the volume onto the section again, and positions into the volume.
  const auto warped = run({"warp",
                           "transform=placed/transform.h5",
                           "input.moving=volume.nii.gz",
                           "grid=section.nii.gz",
                           "output=again.nii.gz"});
  ASSERT_EQ(warped.code, 0) << warped.err;
  EXPECT_LT((read_volume(path("again.nii.gz")).data - plane.data).abs().max().item<double>(), 1e-4);
}

TEST_F(RegisterSection, IsPlacedByWhatIsKnown) {
  ASSERT_EQ(place("given", {"initial=truth.h5", "deformation.enabled=false"}).code, 0);
  EXPECT_LT(record("given")["stages"].back()["reference"]["largest"].get<double>(), 1e-6);
  const AffineMap truth = read_transform(path("truth.h5")).affine();
  Landmarks fixed, moving;
  for (const Eigen::Vector3d& place :
       {Eigen::Vector3d(2.0, 3.0, 0.0), {20.0, 4.0, 0.0}, {9.0, 21.0, 0.0}, {17.0, 15.0, 0.0}}) {
    const std::string label = "p" + std::to_string(fixed.size());
    fixed.push_back({label, place});
    moving.push_back({label, truth.map(place)});
  }
  write_landmarks(path("fixed.csv"), fixed);
  write_landmarks(path("moving.csv"), moving);
  ASSERT_EQ(place("points",
                  {"start_from=landmarks",
                   "input.fixed_landmarks=fixed.csv",
                   "input.moving_landmarks=moving.csv",
                   "deformation.enabled=false"})
                .code,
            0);
  EXPECT_LT(record("points")["stages"].back()["tre"]["largest"].get<double>(), 1e-6);
}

TEST_F(RegisterSection, MayBeAPictureWhoseSpacingIsStated) {
  Volume picture = read_volume(path("section.nii.gz"));
  const at::Tensor low = picture.data.min();
  picture.data = ((picture.data - low) / (picture.data.max() - low) * 255.0).to(at::kByte);
  picture.geometry.spacing_known = false;
  write_volume(path("section.png"), picture);
  const std::vector<std::string> words = {"register",
                                          "input.fixed=section.png",
                                          "input.moving=volume.nii.gz",
                                          "output=picture",
                                          "initial=truth.h5",
                                          "deformation.enabled=false"};
  EXPECT_THAT(failure(words, 1), HasSubstr("spacing=[x,y,z]"));
  std::vector<std::string> stated = words;
  stated.push_back(fmt::format("spacing=[{0},{0},1]", kSpacing));
  const auto finished = run(stated);
  ASSERT_EQ(finished.code, 0) << finished.err;
  EXPECT_EQ(record("picture")["unit"], "mm");
}

TEST_F(RegisterSection, SaysWhatASectionCannotBe) {
  EXPECT_THAT(pair_failure("volume.nii.gz", "section.nii.gz"),
              HasSubstr("a section that is looked for in a volume is the fixed image"));
  EXPECT_THAT(failure({"register",
                       "input.fixed=section.nii.gz",
                       "input.moving=volume.nii.gz",
                       "output=never",
                       "start.model=translation"},
                      2),
              HasSubstr("start.model: a section is placed"));
}

}  // namespace
}  // namespace triptych
