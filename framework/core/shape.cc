// SPDX-License-Identifier: Apache-2.0
#include "framework/core/shape.h"

#include "framework/core/error.h"
#include "framework/core/suggest.h"

#include <string>
#include <vector>

#include <ATen/ATen.h>

namespace triptych {
namespace {

std::string shape_text(at::IntArrayRef sizes) {
  std::vector<std::string> words;
  for (const std::int64_t size : sizes) words.push_back(size == kAny ? "*" : std::to_string(size));
  return "[" + join(words, ", ", "") + "]";
}

}  // namespace

void check_shape(const at::Tensor& tensor,
                 std::initializer_list<std::int64_t> expected,
                 std::string_view name) {
  if (!tensor.defined()) {
    throw shape_error(
        fmt::format("{}: expected shape {}, got no tensor", name, shape_text(expected)));
  }
  bool fits = tensor.dim() == static_cast<std::int64_t>(expected.size());
  for (std::size_t axis = 0; fits && axis < expected.size(); ++axis) {
    const std::int64_t size = expected.begin()[axis];
    fits = size == kAny || tensor.size(static_cast<std::int64_t>(axis)) == size;
  }
  if (fits) return;
  throw shape_error(fmt::format(
      "{}: expected shape {}, got {}", name, shape_text(expected), shape_text(tensor.sizes())));
}

void check_finite(const at::Tensor& tensor, std::string_view name) {
  if (!tensor.is_floating_point() || at::isfinite(tensor).all().item<bool>()) return;
  const std::int64_t bad = at::isfinite(tensor).logical_not().sum().item<std::int64_t>();
  throw numeric_error(
      fmt::format("{}: {} of {} values are NaN or infinite", name, bad, tensor.numel()));
}

}  // namespace triptych
