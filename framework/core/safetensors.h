// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

namespace triptych {

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

/// The safetensors format (huggingface/safetensors): 8-byte little-endian header size, a JSON
/// header
/// {"name": {"dtype", "shape", "data_offsets": [begin, end]}, "__metadata__": {text: text}}, then
/// the bytes in C order.
struct SafeTensors {
  NamedTensors tensors;  ///< in file order; CPU, contiguous
  std::map<std::string, std::string> metadata;

  /// Undefined tensor when absent.
  at::Tensor find(const std::string& name) const;
};

/// Atomic. Tensors are moved to the CPU and made contiguous. Names must be unique.
void write_safetensors(const std::filesystem::path& path,
                       const NamedTensors& tensors,
                       const std::map<std::string, std::string>& metadata = {});

/// Treats the file as hostile: header at most 100 MB, known types, offsets inside the file, without
/// overlap or gap and of the size that the shape needs, no duplicate names; otherwise io_error
/// naming the file and the entry.
SafeTensors read_safetensors(const std::filesystem::path& path);

}  // namespace triptych
