// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/node.h"

#include <string>
#include <string_view>
#include <vector>

namespace triptych::config {

/// Collects what is wrong with a configuration, so that a user sees everything at once.
///
/// Keys given to `add` are relative to the part of the configuration being read: `enter` opens such
/// a part for the life of the returned scope.
class Problems {
 public:
  class Scope {
   public:
    Scope(Problems& problems, std::string_view key, const Node& node);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Problems& problems_;
  };

  /// `key` may be a dotted path, or "" to stay at the path already open.
  [[nodiscard]] Scope enter(std::string_view key, const Node& node) { return {*this, key, node}; }

  /// "place: 'full.key' message", where place is that of the key, or of the map that lacks it.
  void add(std::string_view key, std::string_view message);
  /// "place: message"
  void add_at(Mark mark, std::string_view message);

  bool empty() const { return lines_.empty(); }
  const std::vector<std::string>& lines() const { return lines_; }
  /// One ConfigError of category `schema` with a line for each problem.
  void throw_if_any() const;

  /// Full dotted path of a key of the part being read.
  std::string path_of(std::string_view key) const;

 private:
  struct Part {
    std::string path;
    const Node* node;
  };
  std::vector<Part> parts_;
  std::vector<std::string> lines_;
};

}  // namespace triptych::config
