// SPDX-License-Identifier: Apache-2.0
#include "framework/config/override_cast.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include <fmt/core.h>

namespace triptych::config {
namespace {

std::string trimmed_lower(const std::string& text) {
  const std::size_t first = text.find_first_not_of(" \t\n\r\f\v");
  if (first == std::string::npos) return "";
  std::string out = text.substr(first, text.find_last_not_of(" \t\n\r\f\v") - first + 1);
  std::transform(
      out.begin(), out.end(), out.begin(), [](unsigned char c) { return std::tolower(c); });
  return out;
}

/// Digits with underscores between them only, as Python's int() and float() take them.
bool without_underscores(std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      out += text[i];
      continue;
    }
    const auto digit = [&](std::size_t k) {
      return k < text.size() && text[k] >= '0' && text[k] <= '9';
    };
    if (i == 0 || !digit(i - 1) || !digit(i + 1)) return false;
  }
  text = std::move(out);
  return true;
}

Node int_from_text(const std::string& original) {
  std::string text = trimmed_lower(original);
  std::int64_t value = 0;
  bool good = without_underscores(text);
  if (text.starts_with('+') && text.size() > 1 && text[1] != '-') text.erase(0, 1);
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  good = good && result.ec == std::errc() && result.ptr == text.data() + text.size();
  if (!good) throw CastFailure{fmt::format("'{}' is no integer of 64 bits", original)};
  return Node(value);
}

Node float_from_text(const std::string& original) {
  std::string text = trimmed_lower(original);
  bool good = without_underscores(text) && !text.empty();
  std::string_view body = text;
  const bool negative = body.starts_with('-');
  if (negative || body.starts_with('+')) body.remove_prefix(1);
  if (body == "inf" || body == "infinity") return Node(negative ? -HUGE_VAL : HUGE_VAL);
  if (body == "nan") return Node(std::nan(""));
  const auto plain = [](char c) {
    return (c >= '0' && c <= '9') || c == '.' || c == 'e' || c == '+' || c == '-';
  };
  good = good && !body.empty() && ((body[0] >= '0' && body[0] <= '9') || body[0] == '.') &&
         std::all_of(body.begin(), body.end(), plain);
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (!good || *end != '\0') throw CastFailure{fmt::format("'{}' is no number", original)};
  return Node(value);
}

Node cast_to_int(const Node& value) {
  if (value.is_string()) return int_from_text(value.as_string());
  if (value.is_bool()) return Node(value.as_bool() ? 1 : 0);
  if (value.is_int()) return value;
  const double number = std::trunc(value.as_double());
  if (!(number >= -0x1p63 && number < 0x1p63)) {
    throw CastFailure{fmt::format("{} is no integer of 64 bits", python_float(value.as_double()))};
  }
  return Node(static_cast<std::int64_t>(number));
}

Node cast_to_bool(const Node& value) {
  if (value.is_bool()) return value;
  if (!value.is_string()) return Node(value.as_double() != 0);
  std::string text = value.as_string();
  std::transform(
      text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  if (text != "true" && text != "false")
    throw CastFailure{fmt::format("'{}' is neither true nor false", value.as_string())};
  return Node(text == "true");
}

Node cast_scalar(const Node& value, CastTo to) {
  if (value.is_null()) throw CastFailure{"cannot cast null"};
  switch (to) {
    case CastTo::kInt:
      return cast_to_int(value);
    case CastTo::kBool:
      return cast_to_bool(value);
    case CastTo::kFloat:
      if (value.is_string()) return float_from_text(value.as_string());
      return Node(value.is_bool() ? (value.as_bool() ? 1.0 : 0.0) : value.as_double());
    case CastTo::kText:
      break;
  }
  if (value.is_bool()) return Node(value.as_bool() ? "true" : "false");
  return Node(python_text(value));
}

OverrideValue cast_value(OverrideValue value, CastTo to) {
  using Kind = OverrideValue::Kind;
  if (value.kind == Kind::kList) {
    for (OverrideValue& element : value.elements) element = cast_value(std::move(element), to);
    return value;
  }
  if (value.kind == Kind::kMap) {
    for (auto& entry : value.entries) entry.second = cast_value(std::move(entry.second), to);
    return value;
  }
  const Mark mark = value.scalar.mark();
  OverrideValue result = OverrideValue::of(cast_scalar(value.scalar, to));
  result.scalar.set_mark(mark);
  return result;
}

}  // namespace

Argument cast_argument(const Argument& argument, CastTo to) {
  if (const auto* value = std::get_if<OverrideValue>(&argument)) return cast_value(*value, to);
  Sweep sweep = std::get<Sweep>(argument);
  const bool to_number = to == CastTo::kInt || to == CastTo::kFloat;
  if (sweep.kind == Sweep::Kind::kGlob) throw CastFailure{"cannot cast a glob()"};
  if (sweep.kind != Sweep::Kind::kChoice && !to_number) {
    throw CastFailure{"a range or an interval can be cast to int or float only"};
  }
  for (OverrideValue& value : sweep.choices) value = cast_value(std::move(value), to);
  for (Node* number : {&sweep.start, &sweep.stop, &sweep.step}) {
    if (!number->is_null()) *number = cast_scalar(*number, to);
  }
  return sweep;
}

}  // namespace triptych::config
