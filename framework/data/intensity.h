// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/data/sample.h"

#include <functional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

namespace triptych {

/// Calls `change(name, entry)` for the named entries, for every kIntensity entry when `names` is
/// empty. Throws data_error naming `transform` when a named entry is absent or not of kind
/// intensity.
void for_each_intensity(Sample& sample,
                        const std::vector<std::string>& names,
                        const std::string& transform,
                        const std::function<void(const std::string& name, Entry& entry)>& change);

/// A new float32 tensor with `map` of every value. The input may be shared with a cache, so it is
/// never written to.
at::Tensor mapped_values(const at::Tensor& values,
                         const std::function<void(float* values, std::int64_t count)>& map);

/// Mean of all values, summed in double precision.
double mean_value(const at::Tensor& values);

}  // namespace triptych
