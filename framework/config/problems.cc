// SPDX-License-Identifier: Apache-2.0
#include "framework/config/problems.h"

#include "framework/core/error.h"
#include "framework/core/suggest.h"

namespace triptych::config {

Problems::Scope::Scope(Problems& problems, std::string_view key, const Node& node)
    : problems_(problems) {
  problems_.parts_.push_back({problems_.path_of(key), &node});
}

Problems::Scope::~Scope() { problems_.parts_.pop_back(); }

void Problems::add(std::string_view key, std::string_view message) {
  Mark mark;
  if (!parts_.empty()) {
    const Node* node = parts_.back().node->find(key);
    mark = node != nullptr ? node->mark() : parts_.back().node->mark();
  }
  const std::string path = path_of(key);
  add_at(mark, path.empty() ? std::string(message) : fmt::format("'{}' {}", path, message));
}

void Problems::add_at(Mark mark, std::string_view message) {
  lines_.push_back(fmt::format("{}: {}", mark.text(), message));
}

void Problems::throw_if_any() const {
  if (!empty()) throw ConfigError("schema", join(lines_, "\n"));
}

std::string Problems::path_of(std::string_view key) const {
  std::string path = parts_.empty() ? "" : parts_.back().path;
  if (key.empty()) return path;
  // Elements of lists read as `patch[0]`, not `patch.[0]`.
  if (!path.empty() && key.front() != '[') path += '.';
  return path.append(key);
}

}  // namespace triptych::config
