// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>

#include <ATen/core/Tensor.h>

namespace triptych {

/// Wildcard of check_shape.
inline constexpr std::int64_t kAny = -1;

/// Throws shape_error `features: expected shape [*, 32, *, *, *], got [2, 16, 8, 8, 8]` unless
/// `tensor` has that many axes and each non-wildcard size.
void check_shape(const at::Tensor& tensor,
                 std::initializer_list<std::int64_t> expected,
                 std::string_view name);

/// Throws numeric_error naming `name` when a value is NaN or infinite.
void check_finite(const at::Tensor& tensor, std::string_view name);

}  // namespace triptych
