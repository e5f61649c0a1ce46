// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include <fmt/core.h>

namespace triptych {

/// The one exception type of user mistakes and failed work.
///
/// A message reads `place: what happened, expected X, got Y`; the hint is a next step, or empty.
/// Categories: those of configuration (`config_not_found`, `schema`, ...), `data`, `geometry`,
/// `shape`, `io`, `numeric`, `model`, `usage`. main prints `error[category]: message` and the hint
/// on a line of its own.
class Error : public std::runtime_error {
 public:
  Error(std::string category, const std::string& message, std::string hint = "")
      : std::runtime_error(message), category_(std::move(category)), hint_(std::move(hint)) {}

  const std::string& category() const { return category_; }
  const std::string& hint() const { return hint_; }

  /// 2 for wrong usage or configuration, 1 for everything that failed at work.
  virtual int exit_code() const { return 1; }

 private:
  std::string category_;
  std::string hint_;
};

/// Wrong configuration or command line; exit code 2. May hold several messages, one a line.
class ConfigError final : public Error {
 public:
  using Error::Error;
  int exit_code() const override { return 2; }
};

/// Wrong content or layout of a data set or of a value read from a file.
inline Error data_error(const std::string& message, std::string hint = "") {
  return Error("data", message, std::move(hint));
}
/// Spacing, origin, direction or grid size that do not fit.
inline Error geometry_error(const std::string& message, std::string hint = "") {
  return Error("geometry", message, std::move(hint));
}
/// A tensor of the wrong shape or type.
inline Error shape_error(const std::string& message, std::string hint = "") {
  return Error("shape", message, std::move(hint));
}
/// A file that cannot be read or written.
inline Error io_error(const std::string& message, std::string hint = "") {
  return Error("io", message, std::move(hint));
}
/// NaN, infinity or a number out of range that appeared at work.
inline Error numeric_error(const std::string& message, std::string hint = "") {
  return Error("numeric", message, std::move(hint));
}
/// A checkpoint or network that does not fit.
inline Error model_error(const std::string& message, std::string hint = "") {
  return Error("model", message, std::move(hint));
}
/// Wrong use of the command line.
inline ConfigError usage_error(const std::string& message, std::string hint = "") {
  return ConfigError("usage", message, std::move(hint));
}

[[noreturn]] void assertion_failed(const char* expression, const char* file, int line);

}  // namespace triptych

/// For invariants that only a bug in Triptych can break; user mistakes throw triptych::Error
/// instead.
#define TRIPTYCH_ASSERT(expression) \
  ((expression) ? void() : ::triptych::assertion_failed(#expression, __FILE__, __LINE__))
