// SPDX-License-Identifier: Apache-2.0
#include "framework/config/override_lexer.h"

#include "framework/core/error.h"

#include <algorithm>
#include <cctype>

namespace triptych::config {
namespace {

constexpr std::string_view kBlank = " \t";
constexpr std::string_view kEscapable = "\\()[]{}:=, \t";
constexpr std::string_view kLoneCharacters = "/-\\+.$%*@?|";

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

std::size_t blanks(std::string_view text) {
  const std::size_t end = text.find_first_not_of(kBlank);
  return end == std::string_view::npos ? text.size() : end;
}

/// `1_000`, `0`; a leading zero ends the number.
std::size_t unsigned_length(std::string_view text) {
  if (text.empty() || !is_digit(text[0])) return 0;
  if (text[0] == '0') return 1;
  std::size_t i = 1;
  while (i < text.size()) {
    if (is_digit(text[i])) {
      ++i;
    } else if (text[i] == '_' && i + 1 < text.size() && is_digit(text[i + 1])) {
      i += 2;
    } else {
      break;
    }
  }
  return i;
}

/// Digits with single underscores between them, leading zeros welcome.
std::size_t digits_length(std::string_view text) {
  std::size_t i = 0;
  while (i < text.size()) {
    if (is_digit(text[i])) {
      ++i;
    } else if (i > 0 && text[i] == '_' && i + 1 < text.size() && is_digit(text[i + 1])) {
      i += 2;
    } else {
      break;
    }
  }
  return i;
}

bool starts_with_word(std::string_view text, std::string_view lower) {
  if (text.size() < lower.size()) return false;
  return std::equal(lower.begin(), lower.end(), text.begin(), [](char a, char b) {
    return a == std::tolower(static_cast<unsigned char>(b));
  });
}

std::size_t word_length(std::string_view text) {
  if (text.empty() || !(is_letter(text[0]) || text[0] == '_')) return 0;
  std::size_t i = 1;
  while (i < text.size() &&
         (is_letter(text[i]) || is_digit(text[i]) || text[i] == '_' || text[i] == '-'))
    ++i;
  return i;
}

std::size_t escapes_length(std::string_view text) {
  std::size_t i = 0;
  while (i + 1 < text.size() && text[i] == '\\' &&
         kEscapable.find(text[i + 1]) != std::string_view::npos)
    i += 2;
  return i;
}

/// Quotes included; 0 without a closing quote.
std::size_t quoted_length(std::string_view text) {
  const char quote = text[0];
  std::size_t backslashes = 0;
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == quote && backslashes % 2 == 0) return i + 1;
    backslashes = text[i] == '\\' ? backslashes + 1 : 0;
  }
  return 0;
}

std::size_t interpolation_length(std::string_view text) {
  if (!text.starts_with("${")) return 0;
  const std::size_t close = text.find('}');
  return close == std::string_view::npos || close < 3 ? 0 : close + 1;
}

/// Punctuation takes the blanks after it, and most of it those before it too.
std::optional<Token> punctuation(std::string_view text) {
  using Type = Token::Type;
  struct Mark {
    char character;
    Type type;
    bool blanks_before, blanks_after;
  };
  constexpr Mark kMarks[] = {
      {'(', Type::kParenOpen, true, true},
      {',', Type::kComma, true, true},
      {')', Type::kParenClose, true, false},
      {'[', Type::kBracketOpen, false, true},
      {']', Type::kBracketClose, true, false},
      {'{', Type::kBraceOpen, false, true},
      {'}', Type::kBraceClose, true, false},
      {':', Type::kColon, true, true},
      {'=', Type::kEqual, true, true},
  };
  const std::size_t before = blanks(text);
  if (before == text.size()) return std::nullopt;
  for (const Mark& mark : kMarks) {
    if (mark.character != text[before] || (before > 0 && !mark.blanks_before)) continue;
    std::size_t length = before + 1;
    if (mark.blanks_after) length += blanks(text.substr(length));
    return Token{mark.type, text.substr(0, length), 0};
  }
  return std::nullopt;
}

Token longest_token(std::string_view text) {
  using Type = Token::Type;
  if (const std::optional<Token> token = punctuation(text)) return *token;
  if (text[0] == '\'' || text[0] == '"')
    return {Type::kQuoted, text.substr(0, quoted_length(text)), 0};
  Token best;
  const auto consider = [&](Type type, std::size_t length) {
    if (length > best.text.size()) best = {type, text.substr(0, length), 0};
  };
  const std::size_t word = word_length(text);
  consider(Type::kFloat, float_length(text));
  consider(Type::kInt, int_length(text));
  if (starts_with_word(text, "true")) consider(Type::kBool, 4);
  if (starts_with_word(text, "false")) consider(Type::kBool, 5);
  if (starts_with_word(text, "null")) consider(Type::kNull, 4);
  consider(Type::kWord, word);
  consider(Type::kEscapes, escapes_length(text));
  consider(Type::kInterpolation, interpolation_length(text));
  consider(Type::kBlanks, blanks(text));
  if (kLoneCharacters.find(text[0]) != std::string_view::npos) consider(Type::kCharacter, 1);
  return best;
}

}  // namespace

std::size_t int_length(std::string_view text) {
  const std::size_t sign = !text.empty() && (text[0] == '+' || text[0] == '-') ? 1 : 0;
  const std::size_t digits = unsigned_length(text.substr(sign));
  return digits == 0 ? 0 : sign + digits;
}

std::size_t float_length(std::string_view text) {
  const std::size_t sign = !text.empty() && (text[0] == '+' || text[0] == '-') ? 1 : 0;
  const std::string_view body = text.substr(sign);
  if (starts_with_word(body, "inf") || starts_with_word(body, "nan")) return sign + 3;
  const std::size_t integer = unsigned_length(body);
  std::size_t length = 0;  // of the mantissa if it has a dot
  if (integer < body.size() && body[integer] == '.') {
    const std::size_t fraction = digits_length(body.substr(integer + 1));
    if (integer > 0 || fraction > 0) length = integer + 1 + fraction;
  }
  const std::size_t mantissa = length > 0 ? length : integer;
  if (mantissa > 0 && mantissa < body.size() && (body[mantissa] == 'e' || body[mantissa] == 'E')) {
    std::size_t i = mantissa + 1;
    if (i < body.size() && (body[i] == '+' || body[i] == '-')) ++i;
    const std::size_t exponent = digits_length(body.substr(i));
    if (exponent > 0) length = i + exponent;
  }
  return length == 0 ? 0 : sign + length;
}

std::vector<Token> tokenize_value(std::string_view value,
                                  std::string_view word,
                                  std::size_t offset,
                                  Mark mark) {
  std::vector<Token> tokens;
  for (std::size_t i = 0; i < value.size();) {
    Token token = longest_token(value.substr(i));
    if (token.text.empty()) {
      const char c = value[i];
      const bool quote = c == '\'' || c == '"';
      throw ConfigError(
          "override_syntax",
          quote ? fmt::format("{} '{}': the quote {} at character {} is never closed",
                              mark.text(),
                              word,
                              c,
                              offset + i + 1)
                : fmt::format(
                      "{} '{}': unexpected character {} at character {}",
                      mark.text(),
                      word,
                      value.substr(i, static_cast<unsigned char>(c) < 0x80 ? 1 : value.size()),
                      offset + i + 1),
          "quote a value with special characters, and protect the quotes from the shell: "
          "\"key='...'\"");
    }
    token.column = i;
    i += token.text.size();
    tokens.push_back(token);
  }
  tokens.push_back({Token::Type::kEnd, {}, value.size()});
  return tokens;
}

std::string unquote(std::string_view quoted) {
  const char quote = quoted.front();
  const std::string_view inner = quoted.substr(1, quoted.size() - 2);
  std::string text;
  for (std::size_t i = 0; i < inner.size();) {
    std::size_t run = i;
    while (run < inner.size() && inner[run] == '\\') ++run;
    const std::size_t backslashes = run - i;
    const bool before_quote = run == inner.size() || inner[run] == quote;
    text.append(before_quote ? backslashes / 2 : backslashes, '\\');
    if (run < inner.size()) text += inner[run];
    i = run + 1;
  }
  return text;
}

std::string unescape(std::string_view escapes) {
  std::string text;
  for (std::size_t i = 1; i < escapes.size(); i += 2) text += escapes[i];
  return text;
}

}  // namespace triptych::config
