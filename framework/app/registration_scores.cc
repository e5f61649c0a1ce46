// SPDX-License-Identifier: Apache-2.0
#include "framework/app/registration_scores.h"

#include "framework/image/slabs.h"
#include "framework/learn/label_metrics.h"
#include "framework/ops/similarity.h"
#include "framework/ops/warp.h"
#include "framework/registration/warped_image.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <ATen/ATen.h>

namespace triptych::app {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
constexpr std::int64_t kScoredSlices = 16;
/// Largest label map of which the distances of surfaces are measured.
constexpr std::int64_t kMostSurfaceVoxels = std::int64_t{1} << 26;

void score_similarity(const RegistrationInputs& inputs,
                      const SpatialTransform& transform,
                      PairScores& scores) {
  const Geometry& grid = inputs.fixed.geometry;
  const Geometry& moving_grid = inputs.moving.geometry;
  const at::Tensor displacement = displacement_on(transform, grid).unsqueeze(0);
  const at::Tensor counted =
      inputs.moving.mask.defined() ? inputs.moving.mask : at::ones_like(inputs.moving.values);
  at::Tensor mask = warp(counted, moving_grid, displacement, grid).ge(0.5).to(at::kFloat);
  if (inputs.fixed.mask.defined()) mask = mask * inputs.fixed.mask;
  const double all = inputs.fixed.mask.defined() ? inputs.fixed.mask.sum().item<double>()
                                                 : static_cast<double>(grid.voxels());
  scores.overlap = mask.sum().item<double>() / all;
  scores.local_ncc = scores.mutual_information = kUnknown;
  if (scores.overlap == 0.0) return;
  WarpOptions options;
  options.padding = WarpPadding::kEdge;
  const at::Tensor seen = warp(inputs.moving.values, moving_grid, displacement, grid, options);
  scores.local_ncc = local_ncc(inputs.fixed.values, seen, {}, mask).item<double>();
  scores.mutual_information =
      mutual_information(joint_histogram(inputs.fixed.values, seen, {}, mask)).item<double>();
}

void score_surfaces(const VolumeSource& seen, const VolumeSource& fixed, PairScores& scores) {
  const at::Tensor predicted = all_voxels(seen)[0];
  const at::Tensor reference = all_voxels(fixed)[0];
  for (const auto& [label, dice] : scores.dice) {
    const double hd95 =
        surface_distance(predicted == label, reference == label, fixed.geometry).hd95;
    if (std::isfinite(hd95)) scores.hd95[label] = hd95;
  }
}

void score_labels(const RegistrationInputs& inputs,
                  const SpatialTransform& transform,
                  bool with_surfaces,
                  PairScores& scores) {
  const VolumeSource fixed = inputs.fixed_labels->source();
  const VolumeSource seen = warped_image(inputs.moving_labels->source(),
                                         transform,
                                         fixed.geometry,
                                         {SampleInterpolation::kNearest, 0.0});
  const double highest = std::max(inputs.fixed_labels->highest, inputs.moving_labels->highest);
  ConfusionMatrix confusion(std::max<std::int64_t>(2, static_cast<std::int64_t>(highest) + 1));
  for (const Region& slab : slabs_of_slices(fixed.geometry.shape, kScoredSlices))
    confusion.add(seen.read(0, slab).to(at::kLong), fixed.read(0, slab).to(at::kLong));
  for (std::int64_t label = 1; label < confusion.classes(); ++label) {
    const double dice = confusion.dice(label);
    if (std::isfinite(dice)) scores.dice[label] = dice;
  }
  if (with_surfaces && fixed.geometry.voxels() <= kMostSurfaceVoxels)
    score_surfaces(seen, fixed, scores);
}

}  // namespace

PairScores score(const RegistrationInputs& inputs,
                 const SpatialTransform& moving_from_fixed,
                 const std::string& stage,
                 bool with_surfaces) {
  PairScores scores;
  scores.stage = stage;
  score_similarity(inputs, moving_from_fixed, scores);
  if (inputs.has_label_pair()) score_labels(inputs, moving_from_fixed, with_surfaces, scores);
  if (inputs.landmarks)
    scores.landmark_errors = registration_errors(*inputs.landmarks, moving_from_fixed);
  if (inputs.reference) {
    scores.reference = reference_error(moving_from_fixed, *inputs.reference, inputs.fixed.geometry);
  }
  return scores;
}

double mean_of(const std::map<std::int64_t, double>& values) {
  if (values.empty()) return kUnknown;
  double sum = 0.0;
  for (const auto& [label, value] : values) sum += value;
  return sum / static_cast<double>(values.size());
}

}  // namespace triptych::app
