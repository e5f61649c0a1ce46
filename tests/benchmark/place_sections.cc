// SPDX-License-Identifier: Apache-2.0
// Cuts square sections in random poses out of a volume, adds 2 % of noise, looks for each in the
// volume as `register` does, and prints how far off it is. Found is what lies within 2 degrees and
// 2 voxels.
//
//   place_sections VOLUME [POSES=50] [SEED=0] [SIDE=0.75]
//
// SIDE: of the section, as a share of the volume's shortest side. The middle of a section lies in
// the middle third of the volume.
#include "framework/core/error.h"
#include "framework/core/random.h"
#include "framework/image/io.h"
#include "framework/image/resample.h"
#include "framework/registration/registration_metrics.h"
#include "framework/registration/section_search.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>

#include <ATen/ATen.h>
#include <Eigen/Geometry>

namespace {

using namespace triptych;

struct Cut {
  RegistrationImage section;  ///< in a frame of its own
  AffineMap volume_from_section;
};

Cut random_cut(const Volume& volume, double side, RandomStream random) {
  const Geometry& grid = volume.geometry;
  const Eigen::Quaterniond turn =
      Eigen::Quaterniond(random.normal(), random.normal(), random.normal(), random.normal())
          .normalized();
  Eigen::Vector3d index;
  for (int axis = 0; axis < 3; ++axis) {
    index[axis] = static_cast<double>(grid.shape[static_cast<std::size_t>(2 - axis)] - 1) *
                  random.uniform(1.0 / 3.0, 2.0 / 3.0);
  }
  const auto pixels = static_cast<std::int64_t>(
      side * static_cast<double>(*std::min_element(grid.shape.begin(), grid.shape.end())));
  Geometry plane;
  plane.shape = {1, pixels, pixels};
  plane.spacing.setConstant(grid.spacing.minCoeff());
  const Eigen::Vector3d middle =
      0.5 * static_cast<double>(pixels - 1) * plane.spacing.x() * Eigen::Vector3d(1.0, 1.0, 0.0);
  Cut cut;
  cut.volume_from_section.matrix = turn.toRotationMatrix();
  cut.volume_from_section.offset =
      grid.world_from_index(index) - cut.volume_from_section.matrix * middle;
  Geometry placed = plane;
  placed.direction = cut.volume_from_section.matrix;
  placed.origin = cut.volume_from_section.offset;
  at::Tensor values = resample(volume, placed, Interpolation::kLinear).data.contiguous();
  const double noise = 0.02 * values.std().item<double>();
  float* v = values.data_ptr<float>();
  for (std::int64_t i = 0; i < values.numel(); ++i)
    v[i] += static_cast<float>(noise * random.normal());
  cut.section = {values.unsqueeze(0), plane, {}};
  return cut;
}

int place_all(const std::string& file, std::uint64_t poses, std::uint64_t seed, double side) {
  Volume volume = read_volume(file);
  volume.data = volume.data.to(at::kFloat);
  const RegistrationImage image = registration_image(volume, {}, file);
  const double voxel_mm = volume.geometry.spacing.maxCoeff();
  std::uint64_t found = 0;
  std::printf("pose  degrees  voxels  runner_up\n");
  for (std::uint64_t pose = 0; pose < poses; ++pose) {
    const Cut cut = random_cut(volume, side, RandomStream(seed, {pose}));
    const SectionPlacement placement = place_section(cut.section, image);
    const ReferenceError error = reference_error(
        placement.volume_from_section, cut.volume_from_section, cut.section.geometry);
    const double voxels = error.centre / voxel_mm;
    found += error.rotation_deg <= 2.0 && voxels <= 2.0;
    std::printf("%4d  %7.2f  %6.2f  %.2f\n",
                static_cast<int>(pose),
                error.rotation_deg,
                voxels,
                placement.runner_up);
    std::fflush(stdout);
  }
  std::printf("found %d of %d\n", static_cast<int>(found), static_cast<int>(poses));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argc > 5) {
    std::fprintf(stderr, "expected 1 to 4 arguments, see the head of place_sections.cc\n");
    return 2;
  }
  const auto number = [&](int index, const char* otherwise) {
    return std::atof(argc > index ? argv[index] : otherwise);
  };
  try {
    return place_all(argv[1],
                     static_cast<std::uint64_t>(number(2, "50")),
                     static_cast<std::uint64_t>(number(3, "0")),
                     number(4, "0.75"));
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
