// SPDX-License-Identifier: Apache-2.0
#include "framework/core/error.h"

namespace triptych {

void assertion_failed(const char* expression, const char* file, int line) {
  throw std::logic_error(fmt::format(
      "{}:{}: broken invariant: {}; this is a bug in Triptych", file, line, expression));
}

}  // namespace triptych
