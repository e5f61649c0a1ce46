// SPDX-License-Identifier: Apache-2.0
#include "framework/config/override.h"
#include "framework/config/sweep.h"
#include "framework/core/error.h"

#include <cstdint>
#include <cstdlib>
#include <string>

/// Any word parses or is refused with a ConfigError; what parses is written as a word that parses
/// to the same.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace triptych::config;
  const std::string word(reinterpret_cast<const char*>(data), size);
  try {
    const Override parsed = parse_override(word, Mark::at_word(1));
    if (parsed.is_sweep()) {
      sweep_values(parsed, ConfigRepository({}));
    } else if (parsed.word.find("(") == std::string::npos) {
      const Override again = parse_override("a=" + parsed.element().text(), Mark::at_word(1));
      if (!(again.node() == parsed.node())) std::abort();
    }
  } catch (const triptych::ConfigError&) {
  }
  return 0;
}
