// SPDX-License-Identifier: Apache-2.0
#include "framework/core/torch_compat.h"

#include "framework/core/error.h"

#include <charconv>

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <torch/cuda.h>
#include <torch/types.h>
#include <torch/version.h>

namespace triptych {

std::string torch_version() { return TORCH_VERSION; }

bool cuda_is_available() { return torch::cuda::is_available(); }

c10::Device device_from_text(const std::string& text) {
  if (text == "cpu") return c10::Device(c10::kCPU);
  if (text == "auto")
    return cuda_is_available() ? c10::Device(c10::kCUDA, 0) : c10::Device(c10::kCPU);
  int index = 0;
  bool valid = text == "cuda";
  if (text.starts_with("cuda:")) {
    const char* end = text.data() + text.size();
    const auto result = std::from_chars(text.data() + 5, end, index);
    valid = result.ec == std::errc() && result.ptr == end && index >= 0;
  }
  if (!valid) {
    throw ConfigError(
        "schema", fmt::format("device: expected auto, cpu, cuda or cuda:<index>, got '{}'", text));
  }
  const auto count = static_cast<int>(torch::cuda::device_count());
  if (index >= count) {
    throw ConfigError(
        "schema",
        fmt::format("device: '{}' is not there, {} CUDA devices are visible", text, count),
        "set device=cpu or device=auto");
  }
  return c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(index));
}

std::string device_text(c10::Device device) { return device.str(); }

void set_torch_threads(int threads) { at::set_num_threads(threads); }

void set_deterministic() {
  at::globalContext().setDeterministicCuDNN(true);
  at::globalContext().setBenchmarkCuDNN(false);
}

namespace {
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 4)
at::DeviceType autocast_kind(bool cuda) { return cuda ? at::kCUDA : at::kCPU; }
bool autocast_is_on(bool cuda) { return at::autocast::is_autocast_enabled(autocast_kind(cuda)); }
void switch_autocast(bool cuda, bool on) {
  at::autocast::set_autocast_enabled(autocast_kind(cuda), on);
}
void choose_bfloat16(bool cuda) {
  at::autocast::set_autocast_dtype(autocast_kind(cuda), at::kBFloat16);
}
#else
bool autocast_is_on(bool cuda) {
  return cuda ? at::autocast::is_enabled() : at::autocast::is_cpu_enabled();
}
void switch_autocast(bool cuda, bool on) {
  cuda ? at::autocast::set_enabled(on) : at::autocast::set_cpu_enabled(on);
}
void choose_bfloat16(bool cuda) {
  cuda ? at::autocast::set_autocast_gpu_dtype(at::kBFloat16)
       : at::autocast::set_autocast_cpu_dtype(at::kBFloat16);
}
#endif
}  // namespace

Autocast::Autocast(bool enabled, c10::Device device) : enabled_(enabled), cuda_(device.is_cuda()) {
  if (!enabled_) return;
  previous_ = autocast_is_on(cuda_);
  choose_bfloat16(cuda_);
  switch_autocast(cuda_, true);
  at::autocast::increment_nesting();
}

Autocast::~Autocast() {
  if (!enabled_) return;
  if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
  switch_autocast(cuda_, previous_);
}

FullPrecision::FullPrecision(c10::Device device)
    : cuda_(device.is_cuda()), previous_(autocast_is_on(cuda_)) {
  switch_autocast(cuda_, false);
}

FullPrecision::~FullPrecision() { switch_autocast(cuda_, previous_); }

at::Tensor plain_mish(const at::Tensor& x) {
  if (x.scalar_type() == at::kBFloat16 && x.is_cpu())
    return torch::mish(x.to(at::kFloat)).to(at::kBFloat16);
  return torch::mish(x);
}

std::string message_without_backtrace(const std::exception& error) {
  const auto* torch_error = dynamic_cast<const c10::Error*>(&error);
  return torch_error != nullptr ? torch_error->what_without_backtrace() : error.what();
}

}  // namespace triptych
