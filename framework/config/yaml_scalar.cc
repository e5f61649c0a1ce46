// SPDX-License-Identifier: Apache-2.0
#include "framework/config/yaml_scalar.h"

#include "framework/core/error.h"

#include <algorithm>
#include <charconv>
#include <limits>

namespace triptych::config {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

template <class Predicate>
bool all_of(std::string_view text, Predicate&& fits) {
  return std::all_of(text.begin(), text.end(), fits);
}

bool one_of(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

std::string without_underscores(std::string_view text) {
  std::string plain(text);
  std::erase(plain, '_');
  return plain;
}

std::optional<bool> parse_bool(std::string_view text) {
  if (one_of(text, {"yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"})) return true;
  if (one_of(text, {"no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"}))
    return false;
  return std::nullopt;
}

bool is_null(std::string_view text) { return one_of(text, {"", "~", "null", "Null", "NULL"}); }

/// `12:30` -> {"12", "30"}, each part after the first a number below 60; empty if it is no such
/// text.
std::vector<std::string_view> sexagesimal_parts(std::string_view text) {
  std::vector<std::string_view> parts;
  for (std::size_t begin = 0;;) {
    const std::size_t colon = text.find(':', begin);
    parts.push_back(text.substr(begin, colon - begin));
    if (colon == std::string_view::npos) break;
    begin = colon + 1;
  }
  if (parts.size() < 2) return {};
  for (std::size_t i = 1; i < parts.size(); ++i) {
    const std::string_view part = parts[i];
    const bool fits =
        (part.size() == 1 || (part.size() == 2 && part[0] <= '5')) && all_of(part, is_digit);
    if (!fits) return {};
  }
  return parts;
}

/// Digits of an integer literal and their base; base 60 keeps its colons. Base 0: no integer.
struct Digits {
  int base = 0;
  std::string text;
};

Digits integer_digits(std::string_view body) {
  const auto underscored = [](auto&& digit) {
    return [=](char c) { return c == '_' || digit(c); };
  };
  if (body.starts_with("0b") && body.size() > 2 &&
      all_of(body.substr(2), underscored([](char c) { return c == '0' || c == '1'; }))) {
    return {2, without_underscores(body.substr(2))};
  }
  if (body.starts_with("0x") && body.size() > 2 &&
      all_of(body.substr(2), underscored([](char c) {
               return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
             }))) {
    return {16, without_underscores(body.substr(2))};
  }
  if (body == "0") return {10, "0"};
  if (body.starts_with('0') &&
      all_of(body, underscored([](char c) { return c >= '0' && c <= '7'; }))) {
    return {8, without_underscores(body)};
  }
  if (body.empty() || body[0] < '1' || body[0] > '9') return {};
  if (all_of(body, underscored(is_digit))) return {10, without_underscores(body)};
  const auto parts = sexagesimal_parts(body);
  if (!parts.empty() && all_of(parts[0], underscored(is_digit)))
    return {60, without_underscores(body)};
  return {};
}

/// Value of the digits, or nothing beyond 64 bits.
std::optional<std::uint64_t> magnitude(const Digits& digits) {
  std::uint64_t value = 0;
  if (digits.base != 60) {
    const char* end = digits.text.data() + digits.text.size();
    const auto result = std::from_chars(digits.text.data(), end, value, digits.base);
    if (result.ec != std::errc() || result.ptr != end) return std::nullopt;
    return value;
  }
  for (const std::string_view part : sexagesimal_parts(digits.text)) {
    std::uint64_t digit = 0;
    const auto result = std::from_chars(part.data(), part.data() + part.size(), digit);
    if (result.ec != std::errc() ||
        value > (std::numeric_limits<std::uint64_t>::max() - digit) / 60) {
      return std::nullopt;
    }
    value = value * 60 + digit;
  }
  return value;
}

std::optional<Node> parse_int(std::string_view text, Mark mark) {
  const bool negative = text.starts_with('-');
  const std::string_view body = negative || text.starts_with('+') ? text.substr(1) : text;
  const Digits digits = integer_digits(body);
  // `0x_` fits the pattern but has no digits; PyYAML crashes on it, here it is text.
  if (digits.base == 0 || digits.text.empty()) return std::nullopt;
  const std::optional<std::uint64_t> value = magnitude(digits);
  const std::uint64_t limit =
      static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) + (negative ? 1 : 0);
  if (!value || *value > limit) {
    throw ConfigError("yaml_syntax",
                      fmt::format("{}: integer {} does not fit 64 bits", mark.text(), text));
  }
  return Node(static_cast<std::int64_t>(negative ? 0 - *value : *value), mark);
}

/// True for `digits_ [. digits_] [e [sign] digits]` with the dot, the exponent or both.
bool is_decimal_float(std::string_view body) {
  std::size_t i = 0;
  const auto skip = [&](bool underscore) {
    const std::size_t start = i;
    while (i < body.size() && (is_digit(body[i]) || (underscore && body[i] == '_'))) ++i;
    return i - start;
  };
  if (!body.empty() && body[0] == '_') return false;
  const std::size_t before = skip(true);
  const bool dot = i < body.size() && body[i] == '.';
  std::size_t after = 0;
  if (dot) {
    ++i;
    after = skip(true);
  }
  if (before == 0 && after == 0) return false;
  if (i == body.size()) return dot;
  if (body[i] != 'e' && body[i] != 'E') return false;
  ++i;
  const bool sign = i < body.size() && (body[i] == '-' || body[i] == '+');
  // A float that starts with its dot has a signed exponent or none (a quirk of the pattern).
  if (before == 0 && !sign) return false;
  if (sign) ++i;
  return skip(false) > 0 && i == body.size();
}

std::optional<double> parse_number(const std::string& text) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, value);
  if (result.ptr != end || text.empty()) return std::nullopt;
  if (result.ec == std::errc::result_out_of_range) return std::strtod(text.c_str(), nullptr);
  return result.ec == std::errc() ? std::optional(value) : std::nullopt;
}

std::optional<double> parse_sexagesimal_float(std::string_view body) {
  const std::size_t dot = body.find('.');
  if (dot == std::string_view::npos || body.empty() || !is_digit(body[0])) return std::nullopt;
  const std::string fraction = without_underscores(body.substr(dot + 1));
  const auto parts = sexagesimal_parts(body.substr(0, dot));
  if (parts.empty() || !all_of(fraction, is_digit)) return std::nullopt;
  double value = 0;
  for (const std::string_view part : parts) {
    const std::optional<double> digit = parse_number(without_underscores(part));
    if (!digit) return std::nullopt;
    value = value * 60 + *digit;
  }
  return fraction.empty() ? value : value + parse_number("0." + fraction).value_or(0);
}

std::optional<double> parse_float(std::string_view text) {
  if (one_of(text, {".nan", ".NaN", ".NAN"})) return std::numeric_limits<double>::quiet_NaN();
  const bool negative = text.starts_with('-');
  const bool is_signed = negative || text.starts_with('+');
  const std::string_view body = is_signed ? text.substr(1) : text;
  std::optional<double> value;
  if (one_of(body, {".inf", ".Inf", ".INF"})) {
    value = std::numeric_limits<double>::infinity();
  } else if (is_decimal_float(body) && !(is_signed && body.starts_with('.'))) {
    value = parse_number(without_underscores(body));
  } else {
    value = parse_sexagesimal_float(body);
  }
  if (value && negative) value = -*value;
  return value;
}

/// `2024-01-31...`: a date to other readers of YAML 1.1.
bool looks_like_date(std::string_view text) {
  return text.size() >= 8 && all_of(text.substr(0, 4), is_digit) && text[4] == '-' &&
         is_digit(text[5]);
}

}  // namespace

Node resolve_plain_scalar(std::string_view text, Mark mark) {
  if (is_null(text)) return Node::null(mark);
  if (const auto value = parse_bool(text)) return Node(*value, mark);
  if (const auto value = parse_float(text)) return Node(*value, mark);
  if (auto value = parse_int(text, mark)) return *std::move(value);
  return Node(text, mark);
}

bool reads_as_other_type(std::string_view text) {
  try {
    if (!resolve_plain_scalar(text, {}).is_string()) return true;
  } catch (const ConfigError&) {  // an integer that is too long
    return true;
  }
  // Text to this reader, but not to all.
  return one_of(text, {"y", "Y", "n", "N", "=", "<<"}) || looks_like_date(text) ||
         text.starts_with("0o");
}

std::optional<Node> resolve_tagged_scalar(std::string_view tag, std::string_view text, Mark mark) {
  constexpr std::string_view kPrefix = "tag:yaml.org,2002:";
  if (tag == "!") return Node(text, mark);
  if (!tag.starts_with(kPrefix)) return std::nullopt;
  tag.remove_prefix(kPrefix.size());
  if (tag == "str") return Node(text, mark);
  Node value = resolve_plain_scalar(text, mark);
  if (tag == "null") return Node::null(mark);
  if (tag == "bool" && value.is_bool()) return value;
  if (tag == "int" && value.is_int()) return value;
  if (tag == "float" && (value.is_double() || value.is_int())) return Node(value.as_double(), mark);
  return std::nullopt;
}

}  // namespace triptych::config
