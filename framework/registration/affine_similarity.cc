// SPDX-License-Identifier: Apache-2.0
#include "framework/registration/affine_similarity.h"

#include "framework/core/random.h"

#include <algorithm>
#include <cmath>

#include <ATen/ATen.h>
#include <Eigen/LU>

namespace triptych {
namespace {

constexpr double kTail = 0.002;  ///< share of the grey values beyond either end of the bins
constexpr double kFewestPositions = 16.0;
constexpr std::uint64_t kSeed = 2001;

/// The grey values between which bins lie.
struct GreyRange {
  float low, high;

  float bin(float value, std::int64_t bins) const {
    const float unit = (std::clamp(value, low, high) - low) / std::max(high - low, 1e-20F);
    return unit * static_cast<float>(bins - 1);
  }
};

GreyRange grey_range(const at::Tensor& values, const at::Tensor& mask) {
  const at::Tensor counted =
      (mask.defined() ? values.masked_select(mask > 0.5) : values.flatten()).contiguous().clone();
  float* v = counted.data_ptr<float>();
  const std::int64_t n = counted.numel();
  if (n == 0) return {0.0F, 0.0F};
  const auto rank = [&](double share) {
    float* at = v + std::min(n - 1, static_cast<std::int64_t>(share * static_cast<double>(n)));
    std::nth_element(v, at, v + n);
    return *at;
  };
  const GreyRange range{rank(kTail), rank(1.0 - kTail)};
  if (range.low < range.high) return range;
  return {*std::min_element(v, v + n), *std::max_element(v, v + n)};
}

double log_or_zero(double p) { return p > 0.0 ? std::log(p) : 0.0; }

/// Linear interpolation of [D, H, W] at a continuous index (x, y, z) within the outer voxels'
/// faces.
float interpolated(const float* voxels, const Index3& shape, const Eigen::Vector3d& index) {
  double sum = 0.0;
  for (int corner = 0; corner < 8; ++corner) {
    double weight = 1.0;
    std::int64_t offset = 0, stride = 1;
    for (int axis = 0; axis < 3; ++axis) {
      const std::int64_t last = shape[static_cast<std::size_t>(2 - axis)] - 1;
      const double held = std::clamp(index[axis], 0.0, static_cast<double>(last));
      const auto lower =
          std::min(static_cast<std::int64_t>(held), std::max<std::int64_t>(0, last - 1));
      const double share = held - static_cast<double>(lower);
      const bool upper = corner >> axis & 1;
      weight *= upper ? share : 1.0 - share;
      offset += std::min(last, lower + (upper ? 1 : 0)) * stride;
      stride *= last + 1;
    }
    sum += weight * voxels[offset];
  }
  return static_cast<float>(sum);
}

}  // namespace

struct AffineSimilarity::Entropies {
  std::vector<double> joint_share, fixed_share, moving_share;
  double joint = 0.0, fixed = 0.0, moving = 0.0;  ///< nats
};

AffineSimilarity::AffineSimilarity(const RegistrationImage& fixed,
                                   const RegistrationImage& moving,
                                   const AffineSimilarityOptions& options)
    : options_(options) {
  draw_positions(fixed);
  take_moving(moving);
}

void AffineSimilarity::draw_positions(const RegistrationImage& fixed) {
  const Geometry& grid = fixed.geometry;
  const Index3& shape = grid.shape;
  const at::Tensor values = fixed.values.contiguous();
  const at::Tensor mask = fixed.mask.defined() ? fixed.mask.contiguous() : fixed.mask;
  const float* v = values.data_ptr<float>();
  const float* m = mask.defined() ? mask.data_ptr<float>() : nullptr;
  const GreyRange range = grey_range(values, mask);
  const std::int64_t counted =
      m ? std::count_if(m, m + grid.voxels(), [](float w) { return w > 0.5F; }) : grid.voxels();
  fixed_volume_ = static_cast<double>(counted) * grid.spacing.prod();
  const double share =
      std::min(1.0, static_cast<double>(options_.samples) / static_cast<double>(counted));
  RandomStream random(kSeed);
  std::vector<Eigen::Vector3d> world;
  std::vector<std::int32_t> bins;
  double due = random.uniform();
  for (std::int64_t i = 0; i < grid.voxels(); ++i) {
    if (m && !(m[i] > 0.5F)) continue;
    due += share;
    if (due < 1.0) continue;
    due -= 1.0;
    Eigen::Vector3d index(static_cast<double>(i % shape[2]),
                          static_cast<double>(i / shape[2] % shape[1]),
                          static_cast<double>(i / (shape[2] * shape[1])));
    for (int axis = 0; axis < 3; ++axis) {
      if (shape[static_cast<std::size_t>(2 - axis)] > 1) index[axis] += random.uniform(-0.5, 0.5);
    }
    const float bin = range.bin(interpolated(v, shape, index), options_.bins);
    bins.push_back(static_cast<std::int32_t>(bin + 0.5F));
    world.push_back(grid.world_from_index(index));
  }
  for (const Eigen::Vector3d& position : world) centre_mm_ += position;
  centre_mm_ /= std::max(1.0, static_cast<double>(world.size()));
  for (std::size_t i = 0; i < world.size(); ++i) {
    const Eigen::Vector3f from_centre = (world[i] - centre_mm_).cast<float>();
    positions_.add(from_centre.x(), from_centre.y(), from_centre.z(), bins[i]);
    radius_mm_ += (world[i] - centre_mm_).squaredNorm();
  }
  radius_mm_ = std::sqrt(radius_mm_ / std::max(1.0, static_cast<double>(world.size())));
}

void AffineSimilarity::take_moving(const RegistrationImage& moving) {
  moving_geometry_ = moving.geometry;
  index_from_world_ = moving.geometry.step_mm().inverse();
  const GreyRange range = grey_range(moving.values, moving.mask);
  moving_ = moving.values[0][0].contiguous().clone();
  float* v = moving_.data_ptr<float>();
  std::transform(v, v + moving_.numel(), v, [&](float x) { return range.bin(x, options_.bins); });
  double counted = static_cast<double>(moving_.numel());
  if (moving.mask.defined()) {
    moving_mask_ = moving.mask[0][0].contiguous();
    counted = moving_mask_.sum().item<double>();
  }
  moving_volume_ = counted * moving.geometry.spacing.prod();
}

MovingVoxels AffineSimilarity::moving_voxels(const AffineMap& map) const {
  const Index3& shape = moving_geometry_.shape;
  MovingVoxels moving{moving_.data_ptr<float>(),
                      moving_mask_.defined() ? moving_mask_.data_ptr<float>() : nullptr,
                      {shape[2], shape[1], shape[0]},
                      {}};
  const Eigen::Matrix3d matrix = index_from_world_ * map.matrix;
  const Eigen::Vector3d centre =
      index_from_world_ * (map.map(centre_mm_) - moving_geometry_.origin);
  for (int a = 0; a < 3; ++a) {
    for (int b = 0; b < 3; ++b) moving.index[a][b] = static_cast<float>(matrix(a, b));
    moving.index[a][3] = static_cast<float>(centre[a]);
  }
  return moving;
}

AffineSimilarity::Entropies AffineSimilarity::entropies(const std::vector<double>& histogram,
                                                        double total) const {
  const auto bins = static_cast<std::size_t>(options_.bins);
  const auto row = static_cast<std::size_t>(histogram_row(options_.bins));
  Entropies result{histogram, std::vector<double>(bins, 0.0), std::vector<double>(row, 0.0)};
  for (std::size_t a = 0; a < bins; ++a) {
    for (std::size_t b = 0; b < row; ++b) {
      double& p = result.joint_share[a * row + b];
      p /= total;
      result.fixed_share[a] += p;
      result.moving_share[b] += p;
      result.joint -= p * log_or_zero(p);
    }
  }
  for (const double p : result.fixed_share) result.fixed -= p * log_or_zero(p);
  for (const double p : result.moving_share) result.moving -= p * log_or_zero(p);
  return result;
}

AffineScore AffineSimilarity::evaluate(const AffineMap& map, bool with_gradient) const {
  if (positions_.size() == 0) return {};
  const MovingVoxels moving = moving_voxels(map);
  const std::vector<double> histogram = count_pairs(positions_, moving, options_.bins);
  double total = 0.0;
  for (const double cell : histogram) total += cell;
  const double position_volume = fixed_volume_ / static_cast<double>(positions_.size());
  AffineScore score;
  const double volume = total * position_volume * std::sqrt(std::abs(map.matrix.determinant()));
  score.overlap = std::min(1.0, volume / std::min(fixed_volume_, moving_volume_));
  if (!(score.overlap >= options_.least_overlap && total >= kFewestPositions)) return score;
  const Entropies found = entropies(histogram, total);
  if (!(found.joint > 1e-9)) return score;
  score.similarity = (found.fixed + found.moving) / found.joint - 1.0;
  score.value = std::pow(score.overlap, options_.overlap_exponent) * score.similarity;
  if (with_gradient) add_gradient(map, found, total, score);
  return score;
}

void AffineSimilarity::add_gradient(const AffineMap& map,
                                    const Entropies& found,
                                    double total,
                                    AffineScore& score) const {
  const double ratio = (score.similarity + 1.0) / found.joint;
  const std::size_t row = found.moving_share.size();
  std::vector<double> by_cell(found.joint_share.size());
  double mean = 0.0;
  for (std::size_t cell = 0; cell < by_cell.size(); ++cell) {
    const double p = found.joint_share[cell];
    by_cell[cell] = ratio * log_or_zero(p) - (log_or_zero(found.fixed_share[cell / row]) +
                                              log_or_zero(found.moving_share[cell % row])) /
                                                 found.joint;
    mean += p * by_cell[cell];
  }
  std::vector<float> centred(by_cell.size());
  std::transform(by_cell.begin(), by_cell.end(), centred.begin(), [&](double slope) {
    return static_cast<float>(slope - mean);
  });
  const PairGradients gradients =
      differentiate_pairs(positions_, moving_voxels(map), options_.bins, centred);
  const double of_function = score.value / score.similarity / total;
  const double of_overlap = score.overlap < 1.0 ? options_.overlap_exponent * score.value : 0.0;
  const double of_weight = of_overlap / total;
  Eigen::Vector3d by_index;
  Eigen::Matrix3d by_position;
  for (int a = 0; a < 3; ++a) {
    by_index[a] = of_function * gradients.function.sum[a] + of_weight * gradients.weight.sum[a];
    for (int b = 0; b < 3; ++b)
      by_position(a, b) = of_function * gradients.function.by_position[a][b] +
                          of_weight * gradients.weight.by_position[a][b];
  }
  score.by_offset = index_from_world_.transpose() * by_index;
  score.by_matrix = index_from_world_.transpose() * by_position +
                    0.5 * of_overlap * map.matrix.inverse().transpose();
}

}  // namespace triptych
