// SPDX-License-Identifier: Apache-2.0
#include "framework/config/config_repository.h"
#include "framework/config/yaml_reader.h"
#include "framework/config/yaml_writer.h"
#include "framework/core/error.h"

#include <cstdint>
#include <cstdlib>
#include <string_view>

/// Any text reads or is refused with a ConfigError; what reads is written as a text that reads the
/// same.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace triptych::config;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Node node;
  try {
    node = parse_yaml(text, "input");
  } catch (const triptych::ConfigError&) {
    return 0;
  }
  if (!(parse_yaml(to_yaml(node), "block") == node)) std::abort();
  if (!(parse_yaml(to_flow_yaml(node), "flow") == node)) std::abort();
  try {
    parse_config(text, "input");
  } catch (const triptych::ConfigError&) {
  }
  return 0;
}
