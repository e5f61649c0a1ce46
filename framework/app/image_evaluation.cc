// SPDX-License-Identifier: Apache-2.0
#include "framework/app/image_evaluation.h"

#include "framework/core/error.h"
#include "framework/learn/image_metrics.h"

#include <ATen/ATen.h>
#include <fmt/core.h>

namespace triptych::app {

Table image_table(const at::Tensor& prediction,
                  const at::Tensor& reference,
                  const at::Tensor& mask,
                  const std::string& reference_name) {
  const at::Tensor target = reference.to(at::kFloat).unsqueeze(0);
  const double range = (target.max() - target.min()).item<double>();
  if (!(range > 0.0)) {
    throw data_error(fmt::format("{}: expected a reference with contrast, got one value or NaN",
                                 reference_name));
  }
  ImageErrors errors(range);
  errors.add(prediction.to(at::kFloat).unsqueeze(0),
             target,
             mask.defined() ? mask.ne(0).to(at::kLong).unsqueeze(0) : mask);
  Table table({"region", "psnr_db", "ssim", "rmse"}, 4);
  const auto add_row = [&](const std::string& region, const ImageErrorSums& sums) {
    table.add_row({region, sums.psnr(range), sums.ssim(), sums.rmse()});
  };
  add_row("all", errors.all());
  if (mask.defined()) {
    add_row("inside", errors.inside());
    add_row("outside", errors.outside());
  }
  return table;
}

}  // namespace triptych::app
