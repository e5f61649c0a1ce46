// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/node.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace triptych::config {

/// A parsed text with interpolations, or an argument of a resolver.
///
/// kText joins its parts (a sole part keeps its type); kNode is `${..a.b}`: `dots` and the keys
/// among `parts`; kCall is `${name:argument,...}` with the name first among `parts`.
struct Expression {
  enum class Kind { kLiteral, kText, kQuoted, kNode, kCall, kList, kMap };
  Kind kind = Kind::kLiteral;
  Node literal;
  int dots = 0;
  std::vector<Expression> parts;
  std::vector<Key> keys;  ///< of kMap, one for each part
};

/// Parses a text of a configuration ("a ${b} c"). `mark` is for messages; category
/// `interpolation_syntax`.
Expression parse_interpolated(std::string_view text, Mark mark);

/// Parses one value in the grammar of resolver arguments ("[1, ${b}]"), as oc.decode does.
Expression parse_argument(std::string_view text, Mark mark);

}  // namespace triptych::config
