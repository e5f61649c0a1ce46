// SPDX-License-Identifier: Apache-2.0
#include "framework/config/fields.h"

#include "framework/config/yaml_writer.h"
#include "framework/core/suggest.h"

#include <algorithm>

#include <fmt/core.h>

namespace triptych::config {
namespace {

using Kind = MemberType::Kind;

/// "an integer", "a list of text", ... for messages and documentation.
std::string type_text(const MemberType& type) {
  switch (type.kind) {
    case Kind::kBool:
      return "boolean";
    case Kind::kInt:
      return "integer";
    case Kind::kDouble:
      return "number";
    case Kind::kString:
      return "text";
    case Kind::kNode:
      return "configuration";
    case Kind::kOptional:
      return type_text(*type.element) + " or null";
    case Kind::kList:
      return "list of " + type_text(*type.element);
    case Kind::kArray:
      return fmt::format("list of {} {}", type.array_size, type_text(*type.element));
    case Kind::kMap:
      return "map of " + type_text(*type.element);
    case Kind::kStruct:
      return "map";
  }
  return "";
}

std::string expected_text(const MemberType& type) {
  switch (type.kind) {
    case Kind::kBool:
      return "true or false";
    case Kind::kInt:
      return "an integer";
    case Kind::kDouble:
      return "a number";
    case Kind::kString:
      return "text";
    default:
      return "a " + type_text(type);
  }
}

class Reader final : public Visitor {
 public:
  Reader(const Node& map, Problems& problems) : map_(map), problems_(problems) {}

  const std::vector<std::string>& known() const { return known_; }

 private:
  void member_found(const FieldSpec& spec, const MemberType& type, void* member) override {
    known_.emplace_back(spec.name);
    const Node* value = map_.child(std::string_view(spec.name));
    if (value != nullptr) {
      read_value(spec.name, *value, spec, type, member);
    } else if (spec.required) {
      problems_.add_at(map_.mark(),
                       fmt::format("missing required '{}' ({}: {})",
                                   problems_.path_of(spec.name),
                                   type_text(type),
                                   spec.help));
    } else if (type.kind == Kind::kStruct) {
      // A struct left out may still hold required fields.
      read_value(spec.name, empty_map_at(map_.mark()), spec, type, member);
    }
  }

  const Node& empty_map_at(Mark mark) {
    empty_ = Node::map(mark);
    return empty_;
  }

  void read_value(std::string_view key,
                  const Node& node,
                  const FieldSpec& spec,
                  const MemberType& type,
                  void* member);
  bool read_scalar(const Node& node,
                   const FieldSpec& spec,
                   const MemberType& type,
                   void* member,
                   std::string& broken);
  void read_elements(const Node& node, const FieldSpec& spec, const MemberType& type, void* member);
  void read_map(const Node& node, const FieldSpec& spec, const MemberType& type, void* member);

  const Node& map_;
  Problems& problems_;
  std::vector<std::string> known_;
  Node empty_;
};

/// False if the kind is wrong; `broken` tells a broken rule.
bool Reader::read_scalar(const Node& node,
                         const FieldSpec& spec,
                         const MemberType& type,
                         void* member,
                         std::string& broken) {
  switch (type.kind) {
    case Kind::kBool:
      if (!node.is_bool()) return false;
      *static_cast<bool*>(member) = node.as_bool();
      return true;
    case Kind::kInt:
      if (!node.is_int()) return false;
      *static_cast<std::int64_t*>(member) = node.as_int();
      broken = spec.check_number(static_cast<double>(node.as_int()));
      return true;
    case Kind::kDouble:
      if (!node.is_int() && !node.is_double()) return false;
      *static_cast<double*>(member) = node.as_double();
      broken = spec.check_number(node.as_double());
      return true;
    default:
      if (!node.is_string()) return false;
      *static_cast<std::string*>(member) = node.as_string();
      broken = spec.check_word(node.as_string());
      return true;
  }
}

void Reader::read_value(std::string_view key,
                        const Node& node,
                        const FieldSpec& spec,
                        const MemberType& type,
                        void* member) {
  if (node.is_missing() && type.kind != Kind::kNode) {
    problems_.add_at(
        node.mark(),
        fmt::format(
            "missing required '{}' ({}: {})", problems_.path_of(key), type_text(type), spec.help));
    return;
  }
  const Problems::Scope scope = problems_.enter(key, node);
  switch (type.kind) {
    case Kind::kNode:
      *static_cast<Node*>(member) = node;
      return;
    case Kind::kOptional:
      type.clear(member);
      if (node.is_null()) return;
      return read_value("", node, spec, *type.element, type.add(member, ""));
    case Kind::kStruct:
      return read_struct(node, type, member, problems_, {});
    case Kind::kList:
    case Kind::kArray:
      return read_elements(node, spec, type, member);
    case Kind::kMap:
      return read_map(node, spec, type, member);
    default:
      break;
  }
  std::string broken;
  if (!read_scalar(node, spec, type, member, broken)) {
    const bool number_for_text = type.kind == Kind::kString && node.is_scalar() && !node.is_null();
    problems_.add("",
                  fmt::format("expects {}, got {}{}",
                              expected_text(type),
                              node.brief(),
                              number_for_text ? "; quote it to make it text" : ""));
  } else if (!broken.empty()) {
    problems_.add("", broken);
  }
}

void Reader::read_elements(const Node& node,
                           const FieldSpec& spec,
                           const MemberType& type,
                           void* member) {
  if (!node.is_list()) {
    problems_.add("", fmt::format("expects {}, got {}", expected_text(type), node.brief()));
    return;
  }
  const bool fixed = type.kind == Kind::kArray;
  const std::size_t length = fixed ? type.array_size : spec.length.value_or(node.size());
  if (node.size() != length) {
    problems_.add(
        "", fmt::format("must have {} elements, got {}: {}", length, node.size(), node.brief()));
    return;
  }
  if (!fixed) type.clear(member);
  for (std::size_t i = 0; i < node.size(); ++i) {
    void* element = fixed ? type.element_at(member, i, nullptr) : type.add(member, "");
    read_value(fmt::format("[{}]", i), node.as_list()[i], spec, *type.element, element);
  }
}

void Reader::read_map(const Node& node,
                      const FieldSpec& spec,
                      const MemberType& type,
                      void* member) {
  if (!node.is_map()) {
    problems_.add("", fmt::format("expects {}, got {}", expected_text(type), node.brief()));
    return;
  }
  type.clear(member);
  for (const Entry& entry : node.as_map()) {
    const std::string key = entry.key.text();
    read_value(key, entry.value, spec, *type.element, type.add(member, key));
  }
}

Node write_value(const MemberType& type, void* member);

class Writer final : public Visitor {
 public:
  Node take() { return std::move(map_); }

 private:
  void member_found(const FieldSpec& spec, const MemberType& type, void* member) override {
    map_.set(spec.name, write_value(type, member));
  }
  Node map_ = Node::map();
};

Node write_value(const MemberType& type, void* member) {
  switch (type.kind) {
    case Kind::kBool:
      return Node(*static_cast<bool*>(member));
    case Kind::kInt:
      return Node(*static_cast<std::int64_t*>(member));
    case Kind::kDouble:
      return Node(*static_cast<double*>(member));
    case Kind::kString:
      return Node(*static_cast<std::string*>(member));
    case Kind::kNode:
      return *static_cast<Node*>(member);
    case Kind::kStruct: {
      Writer writer;
      type.visit(member, writer);
      return writer.take();
    }
    case Kind::kOptional:
      if (type.size(member) == 0) return Node();
      return write_value(*type.element, type.element_at(member, 0, nullptr));
    case Kind::kMap: {
      Node map = Node::map();
      for (std::size_t i = 0; i < type.size(member); ++i) {
        const std::string* key = nullptr;
        void* element = type.element_at(member, i, &key);
        map.set(*key, write_value(*type.element, element));
      }
      return map;
    }
    default:
      break;
  }
  Node list = Node::list();
  for (std::size_t i = 0; i < type.size(member); ++i) {
    list.as_list().push_back(write_value(*type.element, type.element_at(member, i, nullptr)));
  }
  return list;
}

class Describer final : public Visitor {
 public:
  Describer(std::string prefix, int depth, std::vector<FieldInfo>& rows)
      : prefix_(std::move(prefix)), depth_(depth), rows_(rows) {}

 private:
  /// Deep enough for any honest schema, and an end to one that contains itself.
  static constexpr int kDeepest = 8;

  void member_found(const FieldSpec& spec, const MemberType& type, void* member) override {
    const std::string name = prefix_ + spec.name;
    if (type.kind == Kind::kStruct && depth_ < kDeepest) {
      Describer nested(name + ".", depth_ + 1, rows_);
      return type.visit(member, nested);
    }
    const bool shown =
        !spec.required && !(type.kind == Kind::kNode && static_cast<Node*>(member)->is_null());
    rows_.push_back({.name = name,
                     .type = type_text(type),
                     .default_text = shown ? to_flow_yaml(write_value(type, member)) : "",
                     .help = spec.help,
                     .bounds = spec.bounds_text(),
                     .required = spec.required});
    const MemberType* inner = &type;
    std::string suffix;
    while (inner->element != nullptr) {
      if (inner->kind == Kind::kMap) suffix += ".<name>";
      if (inner->kind == Kind::kList || inner->kind == Kind::kArray) suffix += "[]";
      inner = inner->element;
    }
    if (inner->kind != Kind::kStruct || depth_ >= kDeepest) return;
    Describer nested(name + suffix + ".", depth_ + 1, rows_);
    const std::shared_ptr<void> element = inner->make();
    inner->visit(element.get(), nested);
  }

  std::string prefix_;
  int depth_;
  std::vector<FieldInfo>& rows_;
};

}  // namespace

void read_struct(const Node& node,
                 const MemberType& type,
                 void* object,
                 Problems& problems,
                 ReadOptions options) {
  if (!node.is_map() && !node.is_null()) {
    problems.add("", fmt::format("expects a map, got {}", node.brief()));
    return;
  }
  const Problems::Scope scope = problems.enter("", node);
  const std::size_t before = problems.lines().size();
  Reader reader(node, problems);
  type.visit(object, reader);
  std::vector<std::string> known = reader.known();
  if (options.allow_name) known.emplace_back("name");
  for (const std::string& key : node.keys()) {
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    Mark mark = node.mark();
    for (const Entry& entry : node.as_map()) {
      if (entry.key.text() == key) mark = entry.key.mark();
    }
    problems.add_at(mark,
                    fmt::format("unknown key '{}'{} Known keys: {}",
                                problems.path_of(key),
                                did_you_mean(key, known).empty() ? "." : did_you_mean(key, known),
                                join(known)));
  }
  // Rules across fields make sense only for values that are fine one by one.
  if (problems.lines().size() == before) type.validate(object, problems);
}

Node write_struct(const MemberType& type, const void* object) {
  // Visiting needs a mutable object because reading shares the same `visit`; writing changes
  // nothing.
  return write_value(type, const_cast<void*>(object));
}

std::vector<FieldInfo> describe_struct(const MemberType& type) {
  std::vector<FieldInfo> rows;
  Describer describer("", 0, rows);
  const std::shared_ptr<void> object = type.make();
  type.visit(object.get(), describer);
  return rows;
}

}  // namespace triptych::config
