// SPDX-License-Identifier: Apache-2.0
#include "framework/config/mark.h"

#include <mutex>
#include <set>

#include <fmt/core.h>

namespace triptych::config {
namespace {

const std::string* intern(std::string_view text) {
  static std::mutex mutex;
  static std::set<std::string, std::less<>> names;
  const std::lock_guard lock(mutex);
  auto found = names.find(text);
  if (found == names.end()) found = names.emplace(text).first;
  return &*found;
}

}  // namespace

Mark Mark::in_file(std::string_view file, int line, int column) {
  Mark mark;
  mark.file_ = intern(file);
  mark.line_ = line;
  mark.column_ = column;
  return mark;
}

Mark Mark::at_word(int word) {
  Mark mark;
  mark.file_ = intern("command line");
  mark.column_ = word;
  return mark;
}

Mark Mark::named(std::string_view origin) {
  Mark mark;
  mark.file_ = intern(origin);
  return mark;
}

const std::string& Mark::file() const {
  static const std::string unknown = "configuration";
  return known() ? *file_ : unknown;
}

std::string Mark::text() const {
  if (is_word()) return fmt::format("{}, word {}", file(), column_);
  if (line_ > 0) return fmt::format("{}:{}:{}", file(), line_, column_);
  return file();
}

}  // namespace triptych::config
