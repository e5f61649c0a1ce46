// SPDX-License-Identifier: Apache-2.0
#include "framework/image/transform_io.h"

#include "tests/app/registered_pair.h"

#include <csignal>
#include <fstream>
#include <functional>
#include <limits>

#include <sys/resource.h>
#include <unistd.h>

namespace triptych {
namespace {
namespace fs = std::filesystem;
using ::testing::HasSubstr;

class RegisterErrors : public RegisteredPair {};
class WarpErrors : public RegisteredPair {};

TEST_F(RegisterErrors, RefusesWhatIsNoPair) {
  const auto variant = [&](const std::string& name, const std::function<void(Volume&)>& change) {
    Volume volume = read_volume(path("fixed.nii.gz"));
    change(volume);
    write_volume(path(name), volume);
    return name;
  };
  EXPECT_THAT(pair_failure("fixed.nii.gz", "mowing.nii.gz"),
              HasSubstr("did you mean 'moving.nii.gz'"));
  variant("constant.nii.gz", [](Volume& v) { v.data.fill_(7); });
  EXPECT_THAT(pair_failure("fixed.nii.gz", "constant.nii.gz"),
              HasSubstr("constant.nii.gz has one grey value only"));
  variant("nan.nii.gz", [](Volume& v) {
    v.data = v.data.to(at::kFloat);
    v.data[0][3][3][3] = std::numeric_limits<float>::quiet_NaN();
  });
  EXPECT_THAT(pair_failure("nan.nii.gz", "moving.nii.gz"),
              HasSubstr("nan.nii.gz: expected finite values"));
  variant("flat.nii.gz", [](Volume& v) {
    v.data = v.data.narrow(1, 0, 1).contiguous();
    v.geometry.shape[0] = 1;
  });
  EXPECT_THAT(pair_failure("fixed.nii.gz", "flat.nii.gz"),
              HasSubstr("expected two 2D images, two volumes, or a 2D image and a volume"));
  variant("sheet.nii.gz", [](Volume& v) {
    v.data = v.data.narrow(3, 0, 1).contiguous();
    v.geometry.shape[2] = 1;
  });
  EXPECT_THAT(pair_failure("sheet.nii.gz", "moving.nii.gz"),
              HasSubstr("at least 4 voxels along every axis"));
  variant("far.nii.gz", [](Volume& v) { v.geometry.origin.x() = 1e4; });
  EXPECT_THAT(pair_failure("far.nii.gz", "moving.nii.gz", {"start.model=none"}),
              HasSubstr("expected images that overlap"));
  std::ofstream(path("skew.mha"))
      << "ObjectType = Image\nNDims = 3\nTransformMatrix = 1 0 0 0 1 0 0 0 0\n"
         "Offset = 0 0 0\nElementSpacing = 1 1 1\nDimSize = 4 4 4\nElementType = MET_UCHAR\n"
         "ElementDataFile = LOCAL\n"
      << std::string(64, 'x');
  EXPECT_THAT(pair_failure("skew.mha", "moving.nii.gz"), HasSubstr("direction"));
  variant("other.nii.gz", [](Volume& v) { v.geometry.spacing.x() = 0.7; });
  EXPECT_THAT(
      pair_failure("fixed.nii.gz",
                   "moving.nii.gz",
                   {"input.fixed_labels=other.nii.gz", "input.moving_labels=moving_labels.nii.gz"}),
      HasSubstr("expected the same grid, got spacing"));
  variant("empty.nii.gz", [](Volume& v) { v.data.zero_(); });
  EXPECT_THAT(pair_failure("fixed.nii.gz", "moving.nii.gz", {"input.fixed_mask=empty.nii.gz"}),
              HasSubstr("marks no voxel"));
  write_landmarks(path("named.csv"), {{"nose", {1, 2, 3}}});
  EXPECT_THAT(pair_failure("fixed.nii.gz",
                           "moving.nii.gz",
                           {"input.fixed_landmarks=fixed.csv", "input.moving_landmarks=named.csv"}),
              HasSubstr("expected labels that both images have"));
  write_landmarks(path("twice.csv"), {{"p0", {1, 2, 3}}, {"p0", {4, 5, 6}}});
  EXPECT_THAT(
      pair_failure("fixed.nii.gz",
                   "moving.nii.gz",
                   {"input.fixed_landmarks=twice.csv", "input.moving_landmarks=moving.csv"}),
      HasSubstr("twice.csv: expected every label once, got 'p0' twice"));
  write_landmarks(path("two.csv"), {{"p0", {1, 2, 3}}, {"p1", {4, 5, 6}}});
  EXPECT_THAT(pair_failure("fixed.nii.gz",
                           "moving.nii.gz",
                           {"input.fixed_landmarks=two.csv",
                            "input.moving_landmarks=moving.csv",
                            "start_from=landmarks",
                            "start.model=rigid"}),
              HasSubstr("expected at least 3 points that both images have, got 2"));
}

TEST_F(RegisterErrors, ReportsWrongWords) {
  EXPECT_THAT(failure({"register", "input.fixed=fixed.nii.gz", "output=x"}, 2),
              HasSubstr("input.moving=<image>"));
  EXPECT_THAT(
      failure({"register", "input.fixed=a", "input.moving=b", "input.fixed_label=c", "output=x"},
              2),
      HasSubstr("did you mean 'fixed_labels'"));
  EXPECT_THAT(
      failure({"register", "input.fixed=a", "input.moving=b", "output=x", "start_from=landmarks"},
              2),
      HasSubstr("input.fixed_landmarks= and input.moving_landmarks="));
  EXPECT_THAT(
      failure({"register", "input.fixed=a", "input.moving=b", "output=x", "start.model=afine"}, 2),
      HasSubstr("affine"));
  EXPECT_THAT(
      failure({"register", "input.fixed=a", "input.moving=b", "input.fixed_labels=c", "output=x"},
              2),
      HasSubstr("input.moving_labels="));
  EXPECT_THAT(failure({"warp", "transform=t.h5", "input.image=a", "output=x.nii.gz"}, 2),
              HasSubstr("input.moving=<image>"));
}

TEST_F(RegisterErrors, WarnsOfLandmarksAndLabelsOfSomethingElse) {
  write_landmarks(path("ras.csv"), {{"p0", {-5, -6, 4}}, {"p1", {1, 2, 3}}});
  Volume other = read_volume(path("moving_labels.nii.gz"));
  other.data = other.data.gt(0).to(at::kLong) * 7;
  write_labels(path("other_labels.nii.gz"), other, numbered_classes(8));
  const auto finished = align({"output=doubtful",
                               "start.model=none",
                               "deformation.enabled=false",
                               "pictures=false",
                               "input.fixed_landmarks=ras.csv",
                               "input.fixed_labels=fixed_labels.nii.gz",
                               "input.moving_labels=other_labels.nii.gz"});
  ASSERT_EQ(finished.code, 0) << finished.err;
  EXPECT_THAT(finished.err, HasSubstr("ras.csv: 1 of 2 landmarks lie outside of fixed.nii.gz"));
  EXPECT_THAT(finished.err, HasSubstr("no label overlaps"));
}

TEST_F(RegisterErrors, KeepsWhatIsInTheWay) {
  fs::create_directories(folder_ / "mine");
  std::ofstream(path("mine/notes.txt")) << "precious";
  EXPECT_THAT(failure({"register",
                       "input.fixed=fixed.nii.gz",
                       "input.moving=moving.nii.gz",
                       "output=mine",
                       "overwrite=true"},
                      1),
              HasSubstr("other files, which would be lost"));
  EXPECT_EQ(read_file(folder_ / "mine/notes.txt"), "precious");
  const std::vector<std::string> quick = {
      "output=twice", "start.model=none", "deformation.enabled=false", "pictures=false"};
  ASSERT_EQ(align(quick).code, 0);
  const auto again = align(quick);
  EXPECT_EQ(again.code, 1);
  EXPECT_THAT(again.err, HasSubstr("overwrite=true"));
  const auto inside = run({"register",
                           "input.fixed=twice/warped.nii.gz",
                           "input.moving=moving.nii.gz",
                           "output=twice",
                           "overwrite=true"});
  EXPECT_EQ(inside.code, 2);
  EXPECT_THAT(inside.err, HasSubstr("it would be lost"));
}

/// No file may grow beyond `bytes` while it lives, in child processes either.
class LargestFile {
 public:
  explicit LargestFile(rlim_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    handler_ = ::signal(SIGXFSZ, SIG_IGN);
  }
  ~LargestFile() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    ::signal(SIGXFSZ, handler_);
  }
  LargestFile(const LargestFile&) = delete;
  LargestFile& operator=(const LargestFile&) = delete;

 private:
  rlimit before_{};
  sighandler_t handler_ = SIG_DFL;
};

std::size_t entries(const fs::path& folder) {
  return static_cast<std::size_t>(
      std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

TEST_F(RegisterErrors, LeavesNothingBehindOnAFullDisk) {
  fs::create_directories(folder_ / "full");
  {
    const LargestFile limit(8 * 1024);
    const auto finished = align({"output=full/out", "start.model=none"});
    EXPECT_EQ(finished.code, 1);
    EXPECT_THAT(finished.err, HasSubstr("error[io]"));
  }
  EXPECT_EQ(entries(folder_ / "full"), 0U);
}

TEST_F(RegisterErrors, KilledLeavesNoResult) {
  const pid_t process = testing::start_program(
      {"register", "input.fixed=fixed.nii.gz", "input.moving=moving.nii.gz", "output=killed"},
      folder_);
  ::usleep(600'000);
  ::kill(process, SIGKILL);
  const int code = testing::wait_for(process);
  EXPECT_TRUE(code == 0 || code == 128 + SIGKILL);
  EXPECT_EQ(fs::exists(folder_ / "killed/registration.json"), fs::exists(folder_ / "killed"));
}

TEST_F(RegisterErrors, RefusesMasksWithNothingInCommon) {
  const auto half = [&](const std::string& name, std::int64_t first) {
    Volume mask = read_volume(path("fixed.nii.gz"));
    mask.data.zero_();
    mask.data.narrow(3, first, 16).fill_(1);
    write_volume(path(name), mask);
  };
  half("left.nii.gz", 0);
  half("right.nii.gz", 28);
  EXPECT_THAT(
      pair_failure(
          "fixed.nii.gz",
          "moving.nii.gz",
          {"start.model=none", "input.fixed_mask=left.nii.gz", "input.moving_mask=right.nii.gz"}),
      HasSubstr("no place in common"));
}

TEST_F(WarpErrors, RefusesTransformsOfOtherDimensions) {
  Volume picture = read_volume(path("moving.nii.gz"));
  picture.data = picture.data.narrow(1, 0, 1).contiguous();
  picture.geometry.shape[0] = 1;
  write_volume(path("picture.nii.gz"), picture);
  write_transform(path("plane.tfm"), AffineMap{}, TransformSpace::kPlane);
  write_transform(path("rising.tfm"), AffineMap{Eigen::Matrix3d::Identity(), {0.0, 0.0, 1.0}});
  const auto warp_failure = [&](const std::string& transform, const std::string& image) {
    return failure({"warp", "transform=" + transform, "input.moving=" + image, "output=w.nii.gz"},
                   1);
  };
  EXPECT_THAT(warp_failure("plane.tfm", "moving.nii.gz"), HasSubstr("got one of 2D images"));
  EXPECT_THAT(warp_failure("rising.tfm", "picture.nii.gz"), HasSubstr("out of their plane"));
  EXPECT_FALSE(fs::exists(path("w.nii.gz")));
  EXPECT_THAT(failure({"warp",
                       "transform=still.tfm",
                       "input.moving=moving.nii.gz",
                       "grid=fixed.nii.gz",
                       "output=fixed.nii.gz"},
                      2),
              HasSubstr("is what grid reads; it would be lost"));
}

TEST_F(WarpErrors, RefusesTransformsThatDoNotFit) {
  at::Tensor field = at::zeros({3, 4, 4, 4});
  Geometry elsewhere;
  elsewhere.shape = {4, 4, 4};
  elsewhere.origin = {500.0, 0.0, 0.0};
  write_transform(path("elsewhere.h5"), SpatialTransform({DisplacementField{elsewhere, field}}));
  const auto warp_failure = [&](const std::string& transform) {
    return failure(
        {"warp", "transform=" + transform, "input.moving=moving.nii.gz", "output=w.nii.gz"}, 1);
  };
  EXPECT_THAT(warp_failure("elsewhere.h5"), HasSubstr("covers none of it"));
  EXPECT_THAT(pair_failure("fixed.nii.gz", "moving.nii.gz", {"reference=elsewhere.h5"}),
              HasSubstr("covers none of it"));
  write_transform(path("far.tfm"), AffineMap{Eigen::Matrix3d::Identity(), {500.0, 0.0, 0.0}});
  EXPECT_THAT(warp_failure("far.tfm"), HasSubstr("expected an image that falls onto the grid"));
  EXPECT_FALSE(fs::exists(path("w.nii.gz")));
  write_transform(path("still.tfm"), AffineMap{});
  EXPECT_THAT(failure({"warp",
                       "transform=still.tfm",
                       "input.moving=moving.nii.gz",
                       "fill=300",
                       "output=w.nii.gz"},
                      2),
              HasSubstr("fill: expected a value that the image's 8-bit voxels can hold, got 300"));
  const std::string bytes = read_file(path("elsewhere.h5"));
  std::ofstream(path("cut.h5"), std::ios::binary) << bytes.substr(0, bytes.size() / 2);
  EXPECT_THAT(warp_failure("cut.h5"), HasSubstr("cut.h5"));
  EXPECT_THAT(warp_failure("none.h5"), HasSubstr("none.h5"));
  EXPECT_THAT(warp_failure("moving.nii.gz"),
              HasSubstr("expected a displacement field of three components"));
  EXPECT_THAT(
      failure(
          {"warp", "transform=elsewhere.h5", "input.moving=moving.nii.gz", "output=moving.nii.gz"},
          2),
      HasSubstr("it would be lost"));
}

}  // namespace
}  // namespace triptych
