// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include <ATen/core/Tensor.h>

namespace triptych {

/// Inner products of the tasks' gradients, from which the methods that weigh or turn gradients work
/// out a weight for every task; the result is then the weighted sum of the rows.
class GradientGram {
 public:
  /// jacobian [T, P], summed in double; present [T] bool; `scales` [T] multiply the rows.
  GradientGram(const at::Tensor& jacobian,
               const at::Tensor& present,
               const std::vector<double>& scales);

  std::size_t tasks() const { return present_.size(); }
  /// Indices of the tasks present, in order.
  const std::vector<std::size_t>& present() const { return indices_; }
  /// <g_a, g_b>.
  double dot(std::size_t a, std::size_t b) const { return products_[a * tasks() + b]; }
  /// <sum_t weights_t g_t, g_b>.
  double dot(const std::vector<double>& weights, std::size_t b) const;
  double norm(std::size_t task) const;
  double squared_norm(const std::vector<double>& weights) const;
  /// sum_t weights_t g_t, [P]; weights of absent tasks do not count.
  at::Tensor combination(const std::vector<double>& weights) const;

 private:
  at::Tensor jacobian_;
  std::vector<double> scales_;
  std::vector<bool> present_;
  std::vector<std::size_t> indices_;
  std::vector<double> products_;  ///< [T, T]; zero for absent tasks
};

}  // namespace triptych
