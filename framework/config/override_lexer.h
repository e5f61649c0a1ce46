// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/mark.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace triptych::config {

/// A token of the value of an override word.
struct Token {
  enum class Type {
    kParenOpen,
    kParenClose,
    kComma,
    kBracketOpen,
    kBracketClose,
    kBraceOpen,
    kBraceClose,
    kColon,
    kEqual,
    kFloat,
    kInt,
    kBool,
    kNull,
    kWord,
    kCharacter,
    kEscapes,
    kBlanks,
    kInterpolation,
    kQuoted,
    kEnd,
  };
  Type type = Type::kEnd;
  std::string_view text;   // as written, blanks around punctuation included
  std::size_t column = 0;  // in the value, from 0
};

/// The longest token at each place, the first type of the list above where several are as long.
/// A character that starts no token is a ConfigError of category `override_syntax`; `column` in its
/// message counts from the start of the word, in which the value starts at `offset`.
std::vector<Token> tokenize_value(std::string_view value,
                                  std::string_view word,
                                  std::size_t offset,
                                  Mark mark);

/// Length of the float or integer that `text` starts with, 0 if it starts with none.
std::size_t float_length(std::string_view text);
std::size_t int_length(std::string_view text);

/// Text between the quotes of a quoted token: backslashes right before such a quote are halved.
std::string unquote(std::string_view quoted);

/// Text of a run of escapes: every second character.
std::string unescape(std::string_view escapes);

}  // namespace triptych::config
