// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/denoising_baselines.h"

#include "framework/ops/denoise.h"

#include <algorithm>
#include <limits>

#include <ATen/ATen.h>
#include <fmt/core.h>

namespace triptych {
namespace {

/// [C, D, H, W] -> the same, denoised.
using Filter = std::function<at::Tensor(const at::Tensor&)>;

struct NamedFilter {
  std::string name;
  Filter filter;
};

std::vector<NamedFilter> medians() {
  std::vector<NamedFilter> grid;
  for (const std::int64_t radius : {1, 2}) {
    grid.push_back({fmt::format("median {}", radius),
                    [=](const at::Tensor& image) { return median_filter(image, radius); }});
  }
  return grid;
}

std::vector<NamedFilter> total_variations(double data_range) {
  std::vector<NamedFilter> grid;
  for (const double weight : {0.01, 0.02, 0.04, 0.08, 0.16}) {
    grid.push_back({fmt::format("tv {:g}", weight), [=](const at::Tensor& image) {
                      return total_variation_filter(image, weight * data_range);
                    }});
  }
  return grid;
}

std::vector<NamedFilter> non_local(double data_range) {
  std::vector<NamedFilter> grid;
  for (const double strength : {0.02, 0.04, 0.08, 0.16, 0.32}) {
    grid.push_back({fmt::format("nlm {:g}", strength), [=](const at::Tensor& image) {
                      return non_local_means(image, {.strength = strength * data_range});
                    }});
  }
  return grid;
}

/// Image and target, [C, D, H, W] float32.
using Pair = std::pair<at::Tensor, at::Tensor>;

/// At most so many voxels along an axis take part in the tuning, from the middle.
constexpr std::int64_t kTuningSize = 64;

at::Tensor middle_of(at::Tensor image) {
  for (std::int64_t axis = 1; axis < 4; ++axis) {
    const std::int64_t length = std::min(image.size(axis), kTuningSize);
    image = image.narrow(axis, (image.size(axis) - length) / 2, length);
  }
  return image.to(at::kFloat);
}

NamedFilter best_of(const std::vector<NamedFilter>& grid, const std::vector<Pair>& pairs) {
  std::size_t best = 0;
  double lowest = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < grid.size(); ++i) {
    double error = 0.0;
    for (const auto& [image, target] : pairs)
      error += (grid[i].filter(image) - target).square().sum(at::kDouble).item<double>();
    if (error >= lowest) continue;
    lowest = error;
    best = i;
  }
  return grid[best];
}

}  // namespace

std::vector<Baseline> denoising_baselines(const std::vector<Sample>& training,
                                          const std::string& image_role,
                                          const std::string& target_role,
                                          double data_range) {
  std::vector<Pair> pairs;
  for (const Sample& sample : training) {
    const Entry* target = sample.find(target_role);
    const at::Tensor& image = sample.at(image_role).data;
    if (target == nullptr || target->data.sizes() != image.sizes()) continue;
    pairs.emplace_back(middle_of(image), middle_of(target->data));
  }
  std::vector<NamedFilter> filters = {{"input", [](const at::Tensor& image) { return image; }}};
  for (const auto& grid : {medians(), total_variations(data_range), non_local(data_range)})
    filters.push_back(best_of(grid, pairs));
  std::vector<Baseline> baselines;
  for (const NamedFilter& named : filters) {
    baselines.push_back({named.name, [=, filter = named.filter](const Sample& sample) {
                           const at::Tensor image = sample.at(image_role).data.to(at::kFloat);
                           return Prediction::intensity(filter(image).unsqueeze(0));
                         }});
  }
  return baselines;
}

}  // namespace triptych
