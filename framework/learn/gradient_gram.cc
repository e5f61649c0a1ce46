// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/gradient_gram.h"

#include <algorithm>
#include <cmath>

#include <ATen/ATen.h>

namespace triptych {

namespace {

constexpr std::int64_t kColumnsAtOnce = std::int64_t{1} << 20;

at::Tensor inner_products(const at::Tensor& jacobian) {
  const std::int64_t tasks = jacobian.size(0), columns = jacobian.size(1);
  at::Tensor sum = at::zeros({tasks, tasks}, jacobian.options().dtype(at::kDouble));
  for (std::int64_t first = 0; first < columns; first += kColumnsAtOnce) {
    const at::Tensor part =
        jacobian.narrow(1, first, std::min(kColumnsAtOnce, columns - first)).to(at::kDouble);
    sum += part.matmul(part.t());
  }
  return sum.cpu().contiguous();
}

}  // namespace

GradientGram::GradientGram(const at::Tensor& jacobian,
                           const at::Tensor& present,
                           const std::vector<double>& scales)
    : jacobian_(jacobian), scales_(scales), products_(scales.size() * scales.size(), 0.0) {
  const at::Tensor there = present.cpu().contiguous();
  const at::Tensor products = inner_products(jacobian);
  const std::size_t count = scales.size();
  for (std::size_t a = 0; a < count; ++a) {
    present_.push_back(there.data_ptr<bool>()[a]);
    if (present_.back()) indices_.push_back(a);
  }
  for (const std::size_t a : indices_) {
    for (const std::size_t b : indices_)
      products_[a * count + b] = scales[a] * scales[b] * products.data_ptr<double>()[a * count + b];
  }
}

double GradientGram::dot(const std::vector<double>& weights, std::size_t b) const {
  double sum = 0.0;
  for (const std::size_t a : indices_) sum += weights[a] * dot(a, b);
  return sum;
}

double GradientGram::norm(std::size_t task) const { return std::sqrt(dot(task, task)); }

double GradientGram::squared_norm(const std::vector<double>& weights) const {
  double sum = 0.0;
  for (const std::size_t b : indices_) sum += weights[b] * dot(weights, b);
  return std::max(sum, 0.0);
}

at::Tensor GradientGram::combination(const std::vector<double>& weights) const {
  at::Tensor row = at::zeros({1, static_cast<std::int64_t>(tasks())}, at::kFloat);
  for (const std::size_t a : indices_)
    row.data_ptr<float>()[a] = static_cast<float>(weights[a] * scales_[a]);
  return row.to(jacobian_.device()).matmul(jacobian_).squeeze(0);
}

}  // namespace triptych
