// SPDX-License-Identifier: Apache-2.0
#include "framework/config/rules.h"

#include "framework/core/suggest.h"

#include <algorithm>
#include <cmath>

#include <fmt/core.h>

namespace triptych::config {

std::string FieldSpec::bounds_text() const {
  std::vector<std::string> parts;
  if (at_least && at_most) {
    parts.push_back(fmt::format("between {} and {}", *at_least, *at_most));
  } else {
    if (at_least) parts.push_back(fmt::format(">= {}", *at_least));
    if (at_most) parts.push_back(fmt::format("<= {}", *at_most));
  }
  if (above) parts.push_back(fmt::format("> {}", *above));
  if (below) parts.push_back(fmt::format("< {}", *below));
  if (!one_of.empty()) parts.push_back("one of " + join(one_of));
  if (length) parts.push_back(fmt::format("{} elements", *length));
  if (!unit.empty()) parts.push_back("in " + unit);
  return join(parts, "; ", "");
}

std::string FieldSpec::check_number(double value) const {
  // Written so that NaN breaks every bound; a bounded number is finite.
  if ((at_least || at_most || above || below) && std::isinf(value))
    return fmt::format("must be finite, got {}", value);
  if (at_least && at_most && !(value >= *at_least && value <= *at_most)) {
    return fmt::format("must be between {} and {}, got {}", *at_least, *at_most, value);
  }
  if (at_least && !(value >= *at_least))
    return fmt::format("must be >= {}, got {}", *at_least, value);
  if (at_most && !(value <= *at_most)) return fmt::format("must be <= {}, got {}", *at_most, value);
  if (above && !(value > *above)) return fmt::format("must be > {}, got {}", *above, value);
  if (below && !(value < *below)) return fmt::format("must be < {}, got {}", *below, value);
  return "";
}

std::string FieldSpec::check_word(const std::string& value) const {
  if (one_of.empty() || std::find(one_of.begin(), one_of.end(), value) != one_of.end()) return "";
  return fmt::format(
      "must be one of {}, got '{}'{}", join(one_of), value, did_you_mean(value, one_of));
}

}  // namespace triptych::config
