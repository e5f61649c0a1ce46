// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/problems.h"

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace triptych::config {

class Visitor;

/// How non-template code handles a member of a config struct whose type it does not know.
struct MemberType {
  enum class Kind { kBool, kInt, kDouble, kString, kNode, kOptional, kList, kArray, kMap, kStruct };
  Kind kind;
  /// Element of an optional, list, array or map.
  const MemberType* element = nullptr;
  std::size_t array_size = 0;
  /// Number of elements of a list, map or optional.
  std::size_t (*size)(const void*) = nullptr;
  /// Element `index`, in order; `key` (may be null) receives its key in a map.
  void* (*element_at)(void*, std::size_t index, const std::string** key) = nullptr;
  void (*clear)(void*) = nullptr;
  /// Adds a default element; `key` counts in maps only.
  void* (*add)(void*, const std::string& key) = nullptr;
  /// Structs.
  void (*visit)(void*, Visitor&) = nullptr;
  void (*validate)(const void*, Problems&) = nullptr;
  std::shared_ptr<void> (*make)() = nullptr;
};

template <class T>
concept Visitable = requires(T& object, Visitor& visitor) {
  object.visit(visitor);
};
template <class T>
concept Validated = requires(const T& object, Problems& problems) {
  object.validate(problems);
};

template <class T>
struct TypeOf;

template <class T>
inline constexpr MemberType member_type = TypeOf<T>::value;

template <MemberType::Kind kKind>
struct ScalarType {
  static constexpr MemberType value{.kind = kKind};
};
template <>
struct TypeOf<bool> : ScalarType<MemberType::Kind::kBool> {};
template <>
struct TypeOf<std::int64_t> : ScalarType<MemberType::Kind::kInt> {};
template <>
struct TypeOf<double> : ScalarType<MemberType::Kind::kDouble> {};
template <>
struct TypeOf<std::string> : ScalarType<MemberType::Kind::kString> {};
template <>
struct TypeOf<Node> : ScalarType<MemberType::Kind::kNode> {};

template <class T>
struct TypeOf<std::optional<T>> {
  using C = std::optional<T>;
  static constexpr MemberType value{
      .kind = MemberType::Kind::kOptional,
      .element = &member_type<T>,
      .size = [](const void* p) -> std::size_t { return static_cast<const C*>(p)->has_value(); },
      .element_at = [](void* p, std::size_t, const std::string**) -> void* {
        return &**static_cast<C*>(p);
      },
      .clear = [](void* p) { static_cast<C*>(p)->reset(); },
      .add = [](void* p, const std::string&) -> void* { return &static_cast<C*>(p)->emplace(); }};
};

template <class T>
struct TypeOf<std::vector<T>> {
  static_assert(!std::is_same_v<T, bool>, "std::vector<bool> has no elements to point at");
  using C = std::vector<T>;
  static constexpr MemberType value{
      .kind = MemberType::Kind::kList,
      .element = &member_type<T>,
      .size = [](const void* p) -> std::size_t { return static_cast<const C*>(p)->size(); },
      .element_at = [](void* p, std::size_t i, const std::string**) -> void* {
        return &(*static_cast<C*>(p))[i];
      },
      .clear = [](void* p) { static_cast<C*>(p)->clear(); },
      .add = [](void* p, const std::string&) -> void* {
        return &static_cast<C*>(p)->emplace_back();
      }};
};

template <class T, std::size_t kSize>
struct TypeOf<std::array<T, kSize>> {
  using C = std::array<T, kSize>;
  static constexpr MemberType value{
      .kind = MemberType::Kind::kArray,
      .element = &member_type<T>,
      .array_size = kSize,
      .size = [](const void*) { return kSize; },
      .element_at = [](void* p, std::size_t i, const std::string**) -> void* {
        return &(*static_cast<C*>(p))[i];
      }};
};

template <class T>
struct TypeOf<std::map<std::string, T>> {
  using C = std::map<std::string, T>;
  static constexpr MemberType value{
      .kind = MemberType::Kind::kMap,
      .element = &member_type<T>,
      .size = [](const void* p) -> std::size_t { return static_cast<const C*>(p)->size(); },
      .element_at = [](void* p, std::size_t i, const std::string** key) -> void* {
        auto found = static_cast<C*>(p)->begin();
        while (i-- > 0) ++found;
        if (key != nullptr) *key = &found->first;
        return &found->second;
      },
      .clear = [](void* p) { static_cast<C*>(p)->clear(); },
      .add = [](void* p, const std::string& key) -> void* { return &(*static_cast<C*>(p))[key]; }};
};

template <class T>
requires Visitable<T>
struct TypeOf<T> {
  static void visit(void* p, Visitor& visitor) { static_cast<T*>(p)->visit(visitor); }
  static void validate(const void* p, Problems& problems) {
    if constexpr (Validated<T>) static_cast<const T*>(p)->validate(problems);
  }
  static std::shared_ptr<void> make() { return std::make_shared<T>(); }
  static constexpr MemberType value{
      .kind = MemberType::Kind::kStruct, .visit = &visit, .validate = &validate, .make = &make};
};

}  // namespace triptych::config
