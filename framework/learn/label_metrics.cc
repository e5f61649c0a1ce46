// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/label_metrics.h"

#include "framework/core/error.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <ATen/ATen.h>

namespace triptych {
namespace {

constexpr std::int64_t kCountedVoxels = std::int64_t{1} << 22;  ///< converted to int64 at a time

double ratio(double numerator, double denominator) {
  return denominator > 0.0 ? numerator / denominator : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

ConfusionMatrix::ConfusionMatrix(std::int64_t classes)
    : classes_(classes), counts_(static_cast<std::size_t>(classes * classes)) {}

void ConfusionMatrix::add(const at::Tensor& predicted, const at::Tensor& reference) {
  if (predicted.sizes() != reference.sizes()) {
    throw shape_error(fmt::format(
        "label metrics: {} predicted voxels against {} reference voxels of another shape",
        predicted.numel(),
        reference.numel()));
  }
  const at::Tensor flat_prediction = predicted.contiguous().flatten(),
                   flat_reference = reference.contiguous().flatten();
  for (std::int64_t first = 0; first < predicted.numel(); first += kCountedVoxels) {
    const std::int64_t length = std::min(kCountedVoxels, predicted.numel() - first);
    count_pairs(flat_prediction.narrow(0, first, length).to(at::kCPU, at::kLong),
                flat_reference.narrow(0, first, length).to(at::kCPU, at::kLong));
  }
}

void ConfusionMatrix::count_pairs(const at::Tensor& predicted, const at::Tensor& reference) {
  const auto* prediction = predicted.data_ptr<std::int64_t>();
  const auto* truth = reference.data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < predicted.numel(); ++i) {
    if (truth[i] < 0) continue;
    if (prediction[i] < 0 || prediction[i] >= classes_ || truth[i] >= classes_) {
      throw data_error(
          fmt::format("label metrics: expected labels 0 to {}, got prediction {} and reference {}",
                      classes_ - 1,
                      prediction[i],
                      truth[i]));
    }
    ++counts_[static_cast<std::size_t>(truth[i] * classes_ + prediction[i])];
  }
}

void ConfusionMatrix::add_counts(std::span<const double> counts) {
  TRIPTYCH_ASSERT(counts.size() == counts_.size());
  for (std::size_t i = 0; i < counts.size(); ++i)
    counts_[i] += static_cast<std::int64_t>(counts[i]);
}

std::int64_t ConfusionMatrix::count(std::int64_t reference, std::int64_t predicted) const {
  return counts_[static_cast<std::size_t>(reference * classes_ + predicted)];
}

std::int64_t ConfusionMatrix::row(std::int64_t label) const {
  std::int64_t sum = 0;
  for (std::int64_t other = 0; other < classes_; ++other) sum += count(label, other);
  return sum;
}

std::int64_t ConfusionMatrix::column(std::int64_t label) const {
  std::int64_t sum = 0;
  for (std::int64_t other = 0; other < classes_; ++other) sum += count(other, label);
  return sum;
}

std::int64_t ConfusionMatrix::total() const {
  std::int64_t sum = 0;
  for (const std::int64_t value : counts_) sum += value;
  return sum;
}

double ConfusionMatrix::iou(std::int64_t label) const {
  const auto both = static_cast<double>(count(label, label));
  return ratio(both, static_cast<double>(row(label) + column(label)) - both);
}

double ConfusionMatrix::dice(std::int64_t label) const {
  return ratio(2.0 * static_cast<double>(count(label, label)),
               static_cast<double>(row(label) + column(label)));
}

double ConfusionMatrix::precision(std::int64_t label) const {
  return ratio(static_cast<double>(count(label, label)), static_cast<double>(column(label)));
}

double ConfusionMatrix::recall(std::int64_t label) const {
  return ratio(static_cast<double>(count(label, label)), static_cast<double>(row(label)));
}

double ConfusionMatrix::foreground_mean(double (ConfusionMatrix::*metric)(std::int64_t)
                                            const) const {
  double sum = 0.0;
  double defined = 0.0;
  for (std::int64_t label = 1; label < classes_; ++label) {
    const double value = (this->*metric)(label);
    if (std::isnan(value)) continue;
    sum += value;
    defined += 1.0;
  }
  return ratio(sum, defined);
}

double ConfusionMatrix::accuracy() const {
  std::int64_t right = 0;
  for (std::int64_t label = 0; label < classes_; ++label) right += count(label, label);
  return ratio(static_cast<double>(right), static_cast<double>(total()));
}

std::vector<std::vector<double>> ConfusionMatrix::row_normalised() const {
  std::vector<std::vector<double>> rows;
  for (std::int64_t reference = 0; reference < classes_; ++reference) {
    std::vector<double> values;
    const auto sum = static_cast<double>(row(reference));
    for (std::int64_t predicted = 0; predicted < classes_; ++predicted) {
      values.push_back(ratio(static_cast<double>(count(reference, predicted)), sum));
    }
    rows.push_back(std::move(values));
  }
  return rows;
}

double ConfusionMatrix::uniform_j2() const { return 1.0 / static_cast<double>(classes_); }

double ConfusionMatrix::majority_j2() const {
  std::int64_t most = 0;
  for (std::int64_t label = 0; label < classes_; ++label) most = std::max(most, row(label));
  return ratio(static_cast<double>(most), static_cast<double>(2 * total() - most));
}

}  // namespace triptych
