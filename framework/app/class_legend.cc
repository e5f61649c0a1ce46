// SPDX-License-Identifier: Apache-2.0
#include "framework/app/class_legend.h"

#include "framework/core/error.h"

#include <ATen/ATen.h>

namespace triptych::app {

std::vector<LegendClass> legend_of(const ClassTable& classes) {
  std::vector<LegendClass> legend;
  for (std::int64_t index = 1; index < classes.size(); ++index) {
    const LabelClass& entry = classes.classes[static_cast<std::size_t>(index)];
    legend.push_back({static_cast<std::int32_t>(index),
                      entry.name,
                      {entry.color[0], entry.color[1], entry.color[2]}});
  }
  return legend;
}

FloatImage slice_of(const at::Tensor& data, std::int64_t index) {
  const at::Tensor slice = data[0][index].to(at::kCPU, at::kFloat).contiguous();
  FloatImage image{static_cast<int>(slice.size(1)), static_cast<int>(slice.size(0)), {}};
  image.values.assign(slice.data_ptr<float>(), slice.data_ptr<float>() + slice.numel());
  return image;
}

LabelImage label_slice_of(const at::Tensor& labels, std::int64_t index) {
  const at::Tensor slice = labels[0][index].to(at::kCPU, at::kInt).contiguous();
  LabelImage image{static_cast<int>(slice.size(1)), static_cast<int>(slice.size(0)), {}};
  image.values.assign(slice.data_ptr<std::int32_t>(),
                      slice.data_ptr<std::int32_t>() + slice.numel());
  return image;
}

void check_label_range(const at::Tensor& labels, const std::string& file, std::int64_t lowest) {
  constexpr std::int64_t kHighest = 4095;
  const auto first = labels.min().item<std::int64_t>();
  const auto last = labels.max().item<std::int64_t>();
  if (first >= lowest && last <= kHighest) return;
  throw data_error(fmt::format("{}: expected labels from {} to {}, got {}",
                               file,
                               lowest,
                               kHighest,
                               first < lowest ? first : last),
                   "is this an image, or are its objects numbered instead of its classes?");
}

}  // namespace triptych::app
