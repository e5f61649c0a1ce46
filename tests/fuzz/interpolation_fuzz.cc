// SPDX-License-Identifier: Apache-2.0
#include "framework/config/interpolation.h"
#include "framework/config/yaml_reader.h"
#include "framework/core/error.h"

#include <cstdint>
#include <string_view>

/// Any configuration resolves or is refused with a ConfigError, in bounded time and memory.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace triptych::config;
  try {
    const Node node = parse_yaml({reinterpret_cast<const char*>(data), size}, "input");
    check_interpolation_syntax(node);
    resolve(node);
  } catch (const triptych::ConfigError&) {
  }
  return 0;
}
