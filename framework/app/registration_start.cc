// SPDX-License-Identifier: Apache-2.0
#include "framework/app/registration_start.h"

#include "framework/app/canonical_start.h"
#include "framework/app/transform_coverage.h"
#include "framework/core/error.h"
#include "framework/image/slabs.h"
#include "framework/image/transform_io.h"

#include <algorithm>
#include <map>
#include <numeric>

#include <ATen/ATen.h>

namespace triptych::app {
namespace {

/// Sums over the voxels of a label.
struct LabelSum {
  Eigen::Vector3d index = Eigen::Vector3d::Zero();
  double voxels = 0.0;
};

/// Centres of the labels > 0 in mm, by label.
std::map<std::int64_t, Eigen::Vector3d> centres_of(const StoredImage& labels) {
  const VolumeSource source = labels.source();
  const auto classes = static_cast<std::int64_t>(labels.highest) + 1;
  at::Tensor sums = at::zeros({4, classes}, at::kDouble);
  for (const Region& slice : slabs_of_slices(source.geometry.shape, 1)) {
    const at::Tensor values = source.read(0, slice).flatten().to(at::kLong);
    const at::Tensor voxel = at::arange(values.numel(), at::kLong);
    const std::int64_t width = slice.size[2];
    const at::Tensor ones = at::ones({values.numel()}, at::kDouble);
    sums[0].index_add_(0, values, voxel.remainder(width).to(at::kDouble));
    sums[1].index_add_(0, values, voxel.floor_divide(width).to(at::kDouble));
    sums[2].index_add_(0, values, ones * static_cast<double>(slice.start[0]));
    sums[3].index_add_(0, values, ones);
  }
  std::map<std::int64_t, Eigen::Vector3d> centres;
  const auto sum = sums.accessor<double, 2>();
  for (std::int64_t label = 1; label < classes; ++label) {
    if (sum[3][label] == 0.0) continue;
    centres[label] = source.geometry.world_from_index(
        Eigen::Vector3d(sum[0][label], sum[1][label], sum[2][label]) / sum[3][label]);
  }
  return centres;
}

LandmarkPairs label_centres(const StoredImage& fixed, const StoredImage& moving) {
  LandmarkPairs pairs;
  const auto partners = centres_of(moving);
  for (const auto& [label, centre] : centres_of(fixed)) {
    const auto partner = partners.find(label);
    if (partner == partners.end()) continue;
    pairs.labels.push_back(std::to_string(label));
    pairs.fixed.push_back(centre);
    pairs.moving.push_back(partner->second);
  }
  return pairs;
}

Eigen::Vector3d mean_of(const PointList& points) {
  return std::accumulate(points.begin(), points.end(), Eigen::Vector3d(0.0, 0.0, 0.0)) /
         static_cast<double>(points.size());
}

/// Points of a plane determine no affine map of space: each is doubled by one a unit above it.
void raise_from_plane(PointList& points, const Geometry& plane) {
  const std::size_t count = points.size();
  for (std::size_t i = 0; i < count; ++i) points.push_back(points[i] + plane.direction.col(2));
}

AffineMap from_points(LandmarkPairs pairs, std::string model, const RegistrationInputs& inputs) {
  const std::map<std::string, std::size_t> needed = {
      {"translation", 1}, {"rigid", 3}, {"similarity", 3}, {"affine", 4}};
  const bool flat = inputs.moving.geometry.is_2d();
  if (inputs.is_section() && model == "affine") model = "rigid";  // as first_alignment does
  const std::size_t least = flat && model == "affine" ? 3 : needed.at(model);
  if (pairs.fixed.size() < least) {
    throw data_error(fmt::format("start.model={}: expected at least {} points that both images "
                                 "have, got {}",
                                 model,
                                 least,
                                 pairs.fixed.size()),
                     "choose a simpler model, or start_from=images");
  }
  if (model == "translation") {
    return {Eigen::Matrix3d::Identity(), mean_of(pairs.moving) - mean_of(pairs.fixed)};
  }
  if (flat && model == "affine") {
    raise_from_plane(pairs.fixed, inputs.fixed.geometry);
    raise_from_plane(pairs.moving, inputs.moving.geometry);
  }
  AlignmentOptions options;
  options.transform = model == "rigid"        ? PointTransform::kRigid
                      : model == "similarity" ? PointTransform::kSimilarity
                                              : PointTransform::kAffine;
  return align_points(pairs.fixed, pairs.moving, options).moving_from_fixed;
}

AffineMap from_poses(const RegistrationInputs& inputs,
                     const RegisterKeys& keys,
                     const RobustStartOptions& options) {
  if (inputs.is_section()) {
    throw usage_error("start_from: a section has no pose in the frame of volumes, got canonical",
                      "leave it out: the place of a section is looked for in all directions");
  }
  const AffineMap guess = canonical_start(inputs.fixed, inputs.moving, keys);
  return refine_start(inputs.fixed, inputs.moving, guess, options).moving_from_fixed;
}

AffineMap from_file(const std::string& file) {
  const SpatialTransform transform = read_transform(file);
  if (transform.is_affine()) return transform.affine();
  throw geometry_error(
      fmt::format("{}: expected a rigid or affine transform to start from, got one with a "
                  "displacement field",
                  file),
      "warp the moving image by it first");
}

AffineMap found(const RegistrationInputs& inputs,
                const RegisterKeys& keys,
                const RobustStartOptions& options) {
  if (!keys.initial.empty()) return from_file(keys.initial);
  if (keys.start_from == "landmarks") return from_points(*inputs.landmarks, options.model, inputs);
  if (keys.start_from == "labels") {
    return from_points(
        label_centres(*inputs.fixed_labels, *inputs.moving_labels), options.model, inputs);
  }
  if (keys.start_from == "canonical") return from_poses(inputs, keys, options);
  return triptych::first_alignment(inputs.fixed, inputs.moving, options);
}

/// Whether some voxel of a lattice over the fixed image falls into the moving one.
bool overlap(const Geometry& fixed, const Geometry& moving, const AffineMap& start) {
  constexpr std::int64_t kPerAxis = 48;
  const PointList points = lattice_of(fixed, kPerAxis);
  return std::any_of(points.begin(), points.end(), [&](const Eigen::Vector3d& point) {
    return shows(moving, start.map(point));
  });
}

std::string way_to_overlap(const RegisterKeys& keys, const RobustStartOptions& options) {
  if (!keys.initial.empty()) return "a transform leads from the fixed to the moving image, in mm";
  if (keys.start_from == "landmarks") return "are both files of landmarks in mm (LPS)?";
  if (options.model == "none") return "start.model=affine does not rely on the files' coordinates";
  return "start from landmarks, or state the transform with initial=<file>";
}

}  // namespace

AffineMap first_alignment(const RegistrationInputs& inputs,
                          const RegisterKeys& keys,
                          const RobustStartOptions& options) {
  const AffineMap start = found(inputs, keys, options);
  if (overlap(inputs.fixed.geometry, inputs.moving.geometry, start)) return start;
  throw data_error(
      fmt::format("{} and {}: expected images that overlap after the first alignment, got none in "
                  "common",
                  keys.input.at("fixed"),
                  keys.input.at("moving")),
      way_to_overlap(keys, options));
}

}  // namespace triptych::app
