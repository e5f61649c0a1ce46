// SPDX-License-Identifier: Apache-2.0
#include "framework/data/intensity.h"

#include "framework/core/error.h"
#include "framework/data/dense.h"

#include <ATen/ops/empty.h>

namespace triptych {

void for_each_intensity(Sample& sample,
                        const std::vector<std::string>& names,
                        const std::string& transform,
                        const std::function<void(const std::string& name, Entry& entry)>& change) {
  for (const std::string& name : names) {
    Entry& entry = sample.at(name);
    if (entry.kind != EntryKind::kIntensity) {
      throw data_error(
          fmt::format("sample {}: transform '{}': expected intensities in entry '{}', got {}",
                      sample.id,
                      transform,
                      name,
                      kind_text(entry.kind)));
    }
    change(name, entry);
  }
  if (!names.empty()) return;
  for (auto& [name, entry] : sample.entries) {
    if (entry.kind == EntryKind::kIntensity) change(name, entry);
  }
}

at::Tensor mapped_values(const at::Tensor& values,
                         const std::function<void(float* values, std::int64_t count)>& map) {
  const at::Tensor source = dense_float(values);
  at::Tensor result = at::empty(source.sizes(), source.options());
  copy_dense(source, result.data_ptr());
  map(result.data_ptr<float>(), result.numel());
  return result;
}

double mean_value(const at::Tensor& values) {
  const at::Tensor source = dense_float(values);
  const float* value = source.data_ptr<float>();
  double sum = 0.0;
  for (std::int64_t i = 0; i < source.numel(); ++i) sum += static_cast<double>(value[i]);
  return source.numel() == 0 ? 0.0 : sum / static_cast<double>(source.numel());
}

}  // namespace triptych
