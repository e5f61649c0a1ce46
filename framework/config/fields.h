// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/member_type.h"
#include "framework/config/node.h"
#include "framework/config/problems.h"
#include "framework/config/rules.h"

#include <string>
#include <string_view>
#include <vector>

// A config struct lists each of its fields once; reading, writing, documenting and checking follow
// from that list:
//
//   struct Config {
//     std::int64_t num_classes = 0;
//     double dropout = 0.0;
//     void visit(auto& field) {
//       field("num_classes", num_classes, "classes including background", config::Need::kRequired,
//             config::AtLeast{2});
//       field("dropout", dropout, "channel dropout probability", config::Between{0.0, 1.0});
//     }
//     void validate(config::Problems& problems) const;  // optional: rules across fields
//   };
//
// Members: bool, std::int64_t, double, std::string, config::Node (a subtree somebody else reads),
// structs with visit(), and std::optional, std::vector, std::array, std::map<std::string, ...> of
// these. The default value is what the struct is constructed with.

namespace triptych::config {

/// What `visit` is called with. Reader, writer and describer derive from it.
class Visitor {
 public:
  template <class T, class... Rules>
  void operator()(const char* name, T& member, const char* help, const Rules&... rules) {
    FieldSpec spec;
    spec.name = name;
    spec.help = help;
    (spec.apply(rules), ...);
    member_found(spec, member_type<T>, &member);
  }

 protected:
  ~Visitor() = default;

 private:
  virtual void member_found(const FieldSpec& spec, const MemberType& type, void* member) = 0;
};

/// One row of the documentation of a config struct.
struct FieldInfo {
  std::string name;  ///< dotted; elements of lists as `terms[]`, of maps as `weights.<name>`
  std::string type;  ///< "integer", "list of text", ...
  std::string default_text;  ///< as YAML; "" if required
  std::string help;
  std::string bounds;  ///< "" if there are none
  bool required = false;
};

/// How to read a struct.
struct ReadOptions {
  /// A registered component stands in its configuration under `name`: accept that key.
  bool allow_name = false;
};

void read_struct(const Node& node,
                 const MemberType& type,
                 void* object,
                 Problems& problems,
                 ReadOptions options);
Node write_struct(const MemberType& type, const void* object);
std::vector<FieldInfo> describe_struct(const MemberType& type);

/// Reads a struct and adds whatever is wrong to `problems`; the result is usable only if nothing
/// is.
template <Visitable T>
T read(const Node& node, Problems& problems, ReadOptions options = {}) {
  T object{};
  read_struct(node, member_type<T>, &object, problems, options);
  return object;
}

/// Reads a struct or throws one ConfigError (category `schema`) with all that is wrong.
/// `path` is where `node` stands in the whole configuration, for the messages.
template <Visitable T>
T read(const Node& node, std::string_view path = "", ReadOptions options = {}) {
  Problems problems;
  const Problems::Scope scope = problems.enter(path, node);
  T object = read<T>(node, problems, options);
  problems.throw_if_any();
  return object;
}

/// As `read`, for the configuration of a registered component (key `name` allowed).
template <Visitable T>
T read_component(const Node& node, std::string_view path = "") {
  return read<T>(node, path, ReadOptions{.allow_name = true});
}
template <Visitable T>
T read_component(const Node& node, Problems& problems) {
  return read<T>(node, problems, ReadOptions{.allow_name = true});
}

/// The complete configuration of an object, defaults included.
template <Visitable T>
Node write(const T& object) {
  return write_struct(member_type<T>, &object);
}

/// All fields, nested ones flattened.
template <Visitable T>
std::vector<FieldInfo> describe() {
  return describe_struct(member_type<T>);
}

}  // namespace triptych::config
