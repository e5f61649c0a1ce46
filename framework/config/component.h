// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/fields.h"

#include <memory>
#include <source_location>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// Registries of components: classes chosen by their name in the configuration.
//
// A base class names its kind and its registry:
//
//   class Head { public: static constexpr const char* kKind = "head"; ... };
//   using HeadRegistry = config::Registry<Head, const PyramidSpec&>;
//   #define TRIPTYCH_REGISTER_HEAD(name, Class) TRIPTYCH_REGISTER_COMPONENT(HeadRegistry, name,
//   Class)
//
// A component has a nested `Config` and a constructor (const Config&, Args...).

namespace triptych::config {

/// What is known of a registered component without knowing its type.
struct ComponentInfo {
  std::string name;
  void (*check)(const Node&, Problems&) = nullptr;
  std::vector<FieldInfo> (*describe)() = nullptr;
  std::source_location where;
};

/// A registry whose types are not known; `all()` walks every registry of the program.
class AnyRegistry {
 public:
  AnyRegistry(const AnyRegistry&) = delete;
  AnyRegistry& operator=(const AnyRegistry&) = delete;

  /// Registries that exist, by kind.
  static std::vector<const AnyRegistry*> all();
  /// The registry of a kind ("head"), or nullptr.
  static const AnyRegistry* of_kind(std::string_view kind);

  const std::string& kind() const { return kind_; }
  /// Sorted.
  std::vector<std::string> names() const;
  bool contains(std::string_view name) const;
  std::vector<FieldInfo> describe(std::string_view name) const;
  /// Path of the file that registers a component, relative to the source tree if it lies in it.
  std::string source_file(std::string_view name) const;

  /// Checks a component's configuration (with its key `name`) against its schema.
  void check(const Node& config, Problems& problems) const;

  /// Names registered twice or badly spelt, one message each. Registration itself never throws: it
  /// runs before main.
  std::vector<std::string> duplicates() const { return mistakes_; }

 protected:
  explicit AnyRegistry(std::string kind);
  ~AnyRegistry() = default;

  virtual const ComponentInfo* info(std::size_t index) const = 0;
  /// Index of a name, or of no component.
  std::size_t index_of(std::string_view name) const;
  /// Records a mistake and returns false, or returns true if the name may be added.
  bool accept(std::string_view name, const std::source_location& where);
  /// Index of the component that `config.name` asks for, or a ConfigError of category `schema`.
  std::size_t chosen(const Node& config) const;

 private:
  std::string name_problem(const Node& config) const;

  std::string kind_;
  std::vector<std::string> mistakes_;
};

template <class Base, class... Args>
struct ComponentEntry : ComponentInfo {
  std::shared_ptr<Base> (*create)(const Node&, Args...) = nullptr;
};

template <class Base, class... Args>
class Registry final : public AnyRegistry {
 public:
  using Component = ComponentEntry<Base, Args...>;

  static Registry& instance() {
    static Registry registry;
    return registry;
  }

  /// Registers class `C`; called before main by TRIPTYCH_REGISTER_COMPONENT.
  template <class C>
  bool add(const char* name, std::source_location where = std::source_location::current()) {
    Component component;
    component.name = name;
    component.check = [](const Node& node, Problems& problems) {
      read_component<typename C::Config>(node, problems);
    };
    component.describe = [] { return config::describe<typename C::Config>(); };
    component.where = where;
    component.create = [](const Node& node, Args... args) -> std::shared_ptr<Base> {
      return std::make_shared<C>(read_component<typename C::Config>(node),
                                 std::forward<Args>(args)...);
    };
    return add(std::move(component));
  }
  bool add(Component component) {
    if (!accept(component.name, component.where)) return false;
    components_.push_back(std::move(component));
    return true;
  }

  /// The component that `config.name` asks for, made from the rest of `config`.
  std::shared_ptr<Base> create(const Node& config, Args... args) const {
    return components_[chosen(config)].create(config, std::forward<Args>(args)...);
  }

  const std::vector<Component>& entries() const { return components_; }

 private:
  Registry() : AnyRegistry(Base::kKind) {}
  const ComponentInfo* info(std::size_t index) const override {
    return index < components_.size() ? &components_[index] : nullptr;
  }

  std::vector<Component> components_;
};

}  // namespace triptych::config

#define TRIPTYCH_CONFIG_JOIN_(a, b) a##b
#define TRIPTYCH_CONFIG_JOIN(a, b) TRIPTYCH_CONFIG_JOIN_(a, b)

/// Adds `Class` to a registry under a name matching [a-z][a-z0-9_]*. `RegistryType` must be an
/// alias without commas.
#define TRIPTYCH_REGISTER_COMPONENT(RegistryType, component_name, Class)                \
  namespace {                                                                           \
  [[maybe_unused]] const bool TRIPTYCH_CONFIG_JOIN(triptych_registered_, __COUNTER__) = \
      RegistryType::instance().template add<Class>(component_name);                     \
  }
