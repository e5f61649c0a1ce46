// SPDX-License-Identifier: Apache-2.0
// Numbers and values as Python writes them: the text that compatible configurations contain.
#include "framework/config/node.h"

#include <charconv>
#include <cmath>

#include <fmt/core.h>

namespace triptych::config {
namespace {

/// Quoted as Python's repr() quotes: single quotes unless only they occur inside.
std::string repr_string(const std::string& text) {
  const bool has_single = text.find('\'') != std::string::npos;
  const char quote = has_single && text.find('"') == std::string::npos ? '"' : '\'';
  std::string out(1, quote);
  for (const char c : text) {
    if (c == quote || c == '\\') {
      out += {'\\', c};
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\r') {
      out += "\\r";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    } else {
      out += c;
    }
  }
  return out + quote;
}

}  // namespace

std::string python_float(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  const double size = std::fabs(value);
  // Python switches to an exponent below 1e-4 and from 1e16 up.
  const auto form = size != 0 && (size < 1e-4 || size >= 1e16) ? std::chars_format::scientific
                                                               : std::chars_format::fixed;
  char buffer[64];
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, value, form);
  std::string text(buffer, end);
  if (form == std::chars_format::fixed && text.find('.') == std::string::npos) text += ".0";
  return text;
}

std::string python_text(const Node& scalar) {
  if (scalar.is_null()) return "None";
  if (scalar.is_bool()) return scalar.as_bool() ? "True" : "False";
  if (scalar.is_int()) return std::to_string(scalar.as_int());
  if (scalar.is_double()) return python_float(scalar.as_double());
  if (scalar.is_string()) return scalar.as_string();
  return python_repr(scalar);
}

std::string python_repr(const Node& value) {
  if (value.is_string()) return repr_string(value.as_string());
  if (value.is_scalar()) return python_text(value);
  std::string text;
  if (value.is_list()) {
    for (const Node& element : value.as_list())
      text += (text.empty() ? "" : ", ") + python_repr(element);
    return "[" + text + "]";
  }
  for (const Entry& entry : value.as_map()) {
    text += text.empty() ? "" : ", ";
    text += entry.key.is_string() ? repr_string(entry.key.text()) : entry.key.text();
    text += ": " + python_repr(entry.value);
  }
  return "{" + text + "}";
}

}  // namespace triptych::config
