// SPDX-License-Identifier: Apache-2.0
#include "framework/report/json_text.h"

#include <cmath>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

namespace triptych {

std::string json_string(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string json_number(double value) {
  if (std::isnan(value)) return "\"NaN\"";
  if (std::isinf(value)) return value > 0 ? "\"Infinity\"" : "\"-Infinity\"";
  return fmt::format("{}", value);
}

}  // namespace triptych
