// SPDX-License-Identifier: Apache-2.0
#include "framework/config/override_functions.h"

#include "framework/config/override_cast.h"
#include "framework/core/error.h"
#include "framework/core/suggest.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>

namespace triptych::config {
namespace {

using Kind = OverrideValue::Kind;

/// A call whose arguments are being taken one by one.
class Arguments {
 public:
  explicit Arguments(const FunctionCall& call)
      : call_(call), positional_(call.positional), named_(call.named) {
    // Quotes have done their work once a text is an argument.
    for (Argument& argument : positional_) strip_quotes(argument);
    for (auto& [name, argument] : named_) strip_quotes(argument);
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw ConfigError("bad_function_call",
                      fmt::format("{}: {}(): {}", call_.place, call_.name, what));
  }

  const std::vector<Argument>& positional() const { return positional_; }

  /// The argument of that name, or the next one without a name.
  std::optional<Argument> take(const std::string& name) {
    std::optional<Argument> given = take_named(name);
    if (next_ < positional_.size()) {
      if (given) fail(fmt::format("argument '{}' is given twice", name));
      given = positional_[next_++];
    }
    return given;
  }

  std::optional<Argument> take_named(const std::string& name) {
    for (auto it = named_.begin(); it != named_.end(); ++it) {
      if (it->first != name) continue;
      Argument argument = std::move(it->second);
      named_.erase(it);
      return argument;
    }
    return std::nullopt;
  }

  std::vector<Argument> take_positional() {
    next_ = positional_.size();
    return positional_;
  }

  void finish() const {
    if (!named_.empty()) fail(fmt::format("takes no argument '{}'", named_.front().first));
    if (next_ < positional_.size()) fail(fmt::format("takes at most {} arguments", next_));
  }

  /// All values of a cast, sort or shuffle: `f(value=x)`, `f(x)`, or `f(a,b)` for the sweep a,b.
  Argument one_or_sweep(const char* name) {
    std::optional<Argument> named = take_named(name);
    std::vector<Argument> given = take_positional();
    if (named && !given.empty())
      fail(fmt::format("takes '{}' or arguments without a name, not both", name));
    if (named) return *std::move(named);
    if (given.empty()) fail("needs an argument");
    if (given.size() == 1) return std::move(given.front());
    Sweep sweep;
    sweep.simple = true;
    for (Argument& argument : given) {
      if (!std::holds_alternative<OverrideValue>(argument)) fail("takes one sweep only");
      sweep.choices.push_back(std::get<OverrideValue>(std::move(argument)));
    }
    return sweep;
  }

 private:
  static void strip_quotes(Argument& argument) {
    auto* value = std::get_if<OverrideValue>(&argument);
    if (value != nullptr && value->kind == Kind::kQuoted) value->kind = Kind::kScalar;
  }

  const FunctionCall& call_;
  std::vector<Argument> positional_;
  std::vector<std::pair<std::string, Argument>> named_;
  std::size_t next_ = 0;
};

Argument cast(Arguments& arguments, CastTo to) {
  const Argument given = arguments.one_or_sweep("value");
  arguments.finish();
  try {
    return cast_argument(given, to);
  } catch (const CastFailure& failure) {
    arguments.fail(failure.what);
  }
}

Argument choice(Arguments& arguments) {
  const std::vector<Argument> given = arguments.take_positional();
  arguments.finish();
  if (given.empty()) arguments.fail("needs at least one value");
  if (const auto* sweep = std::get_if<Sweep>(&given[0]); sweep != nullptr && given.size() == 1) {
    if (sweep->kind != Sweep::Kind::kChoice || !sweep->simple)
      arguments.fail("does not take a sweep");
    Sweep copy = *sweep;
    copy.simple = false;
    return copy;
  }
  Sweep sweep;
  for (const Argument& argument : given) {
    const auto* value = std::get_if<OverrideValue>(&argument);
    if (value == nullptr) arguments.fail("does not take a sweep");
    if (value->kind == Kind::kScalar && value->scalar.is_null())
      arguments.fail("does not take null");
    sweep.choices.push_back(*value);
  }
  return sweep;
}

Node number(const Arguments& arguments, const Argument& argument, const char* name) {
  const auto* value = std::get_if<OverrideValue>(&argument);
  const bool fits = value != nullptr && value->kind == Kind::kScalar &&
                    (value->scalar.is_int() || value->scalar.is_double());
  if (!fits) arguments.fail(fmt::format("argument '{}' expects a number", name));
  return value->scalar;
}

Argument range(Arguments& arguments) {
  const std::optional<Argument> start = arguments.take("start");
  const std::optional<Argument> stop = arguments.take("stop");
  const std::optional<Argument> step = arguments.take("step");
  arguments.finish();
  if (!start) arguments.fail("needs 'start'");
  Sweep sweep;
  sweep.kind = Sweep::Kind::kRange;
  sweep.start = stop ? number(arguments, *start, "start") : Node(0);
  sweep.stop = number(arguments, stop ? *stop : *start, "stop");
  sweep.step = step ? number(arguments, *step, "step") : Node(1);
  return sweep;
}

Argument interval(Arguments& arguments) {
  const std::optional<Argument> start = arguments.take("start");
  const std::optional<Argument> end = arguments.take("end");
  arguments.finish();
  if (!start || !end) arguments.fail("needs 'start' and 'end'");
  Sweep sweep;
  sweep.kind = Sweep::Kind::kInterval;
  sweep.start = Node(number(arguments, *start, "start").as_double());
  sweep.stop = Node(number(arguments, *end, "end").as_double());
  return sweep;
}

std::vector<std::string> patterns(const Arguments& arguments,
                                  const Argument& argument,
                                  const char* name) {
  const auto* value = std::get_if<OverrideValue>(&argument);
  std::vector<std::string> texts;
  if (value != nullptr && value->is_text()) return {value->scalar.as_string()};
  if (value != nullptr && value->kind == Kind::kList) {
    for (const OverrideValue& element : value->elements) {
      if (element.is_text()) texts.push_back(element.scalar.as_string());
    }
    if (texts.size() == value->elements.size()) return texts;
  }
  arguments.fail(fmt::format("argument '{}' expects a text or a list of texts", name));
}

Argument glob(Arguments& arguments) {
  const std::optional<Argument> include = arguments.take("include");
  const std::optional<Argument> exclude = arguments.take("exclude");
  arguments.finish();
  if (!include) arguments.fail("needs 'include'");
  Sweep sweep;
  sweep.kind = Sweep::Kind::kGlob;
  sweep.include = patterns(arguments, *include, "include");
  if (exclude) sweep.exclude = patterns(arguments, *exclude, "exclude");
  return sweep;
}

/// Python's order: numbers and booleans among themselves, texts among themselves, lists by element.
bool less(const Arguments& arguments, const Node& a, const Node& b) {
  const auto is_number = [](const Node& n) { return n.is_int() || n.is_double() || n.is_bool(); };
  const auto value = [](const Node& n) {
    return n.is_bool() ? (n.as_bool() ? 1.0 : 0.0) : n.as_double();
  };
  if (a.is_int() && b.is_int()) return a.as_int() < b.as_int();
  if (is_number(a) && is_number(b)) return value(a) < value(b);
  if (a.is_string() && b.is_string()) return a.as_string() < b.as_string();
  if (a.is_list() && b.is_list()) {
    const Node::List& left = a.as_list();
    const Node::List& right = b.as_list();
    for (std::size_t i = 0; i < std::min(left.size(), right.size()); ++i) {
      if (!(left[i] == right[i])) return less(arguments, left[i], right[i]);
    }
    return left.size() < right.size();
  }
  arguments.fail(fmt::format("cannot order {} and {}", a.brief(), b.brief()));
}

std::vector<OverrideValue> sorted(const Arguments& arguments,
                                  std::vector<OverrideValue> values,
                                  bool reverse) {
  // A merge sort by hand would do the same: the order must not depend on NaN, which
  // std::stable_sort does not bear.
  for (const OverrideValue& value : values) {
    if (value.scalar.is_double() && std::isnan(value.scalar.as_double()))
      arguments.fail("cannot order nan");
  }
  std::stable_sort(
      values.begin(), values.end(), [&](const OverrideValue& a, const OverrideValue& b) {
        return reverse ? less(arguments, b.to_node(), a.to_node())
                       : less(arguments, a.to_node(), b.to_node());
      });
  return values;
}

/// Turns a range round if it runs the other way. The last value, not `stop`, becomes the first.
Sweep sorted_range(Sweep sweep, bool reverse) {
  const double step = sweep.step.as_double();
  if (step == 0 || (step > 0) != reverse) return sweep;
  const auto is_int = [](const Node& n) { return n.is_int(); };
  const double steps = std::ceil((sweep.stop.as_double() - sweep.start.as_double()) / step);
  if (!(steps >= 1) || !(steps < 1e15)) return sweep;
  if (is_int(sweep.start) && is_int(sweep.stop) && is_int(sweep.step)) {
    const std::int64_t width = sweep.step.as_int();
    const std::int64_t first = sweep.start.as_int();
    sweep.start = Node(first + (static_cast<std::int64_t>(steps) - 1) * width);
    sweep.stop = Node(first - width);
    sweep.step = Node(-width);
    return sweep;
  }
  const double first = sweep.start.as_double();
  sweep.start = Node(first + (steps - 1) * step);
  // Half a step beyond the old first value, so that rounding does not decide whether it is in.
  sweep.stop = Node(first - step / 2);
  sweep.step = Node(-step);
  return sweep;
}

bool flag(const Arguments& arguments, const std::optional<Argument>& argument, const char* name) {
  if (!argument) return false;
  const auto* value = std::get_if<OverrideValue>(&*argument);
  if (value == nullptr || !value->scalar.is_bool())
    arguments.fail(fmt::format("argument '{}' expects true or false", name));
  return value->scalar.as_bool();
}

Argument list_or_sweep(Arguments& arguments) {
  if (std::optional<Argument> list = arguments.take_named("list")) return *std::move(list);
  return arguments.one_or_sweep("sweep");
}

Argument sort(Arguments& arguments) {
  const bool reverse = flag(arguments, arguments.take_named("reverse"), "reverse");
  Argument given = list_or_sweep(arguments);
  arguments.finish();
  if (auto* value = std::get_if<OverrideValue>(&given)) {
    if (value->kind == Kind::kList)
      value->elements = sorted(arguments, std::move(value->elements), reverse);
    return given;
  }
  auto& sweep = std::get<Sweep>(given);
  if (sweep.kind == Sweep::Kind::kRange) return sorted_range(std::move(sweep), reverse);
  if (sweep.kind != Sweep::Kind::kChoice) arguments.fail("takes a list, a choice or a range");
  sweep.choices = sorted(arguments, std::move(sweep.choices), reverse);
  return given;
}

/// The same words always give the same order: a run can be repeated from its command line.
template <class T>
void shuffle_in_place(std::vector<T>& values) {
  std::uint64_t state = 0x9e3779b97f4a7c15u;
  for (std::size_t i = values.size(); i > 1; --i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    std::swap(values[i - 1], values[(state >> 33) % i]);
  }
}

Argument shuffle(Arguments& arguments) {
  Argument given = list_or_sweep(arguments);
  arguments.finish();
  if (auto* value = std::get_if<OverrideValue>(&given)) {
    if (value->kind == Kind::kList) {
      shuffle_in_place(value->elements);
      return given;
    }
    OverrideValue list;
    list.kind = Kind::kList;
    list.elements.push_back(std::move(*value));
    return list;
  }
  auto& sweep = std::get<Sweep>(given);
  if (sweep.kind == Sweep::Kind::kChoice) {
    shuffle_in_place(sweep.choices);
  } else if (sweep.kind == Sweep::Kind::kRange) {
    sweep.shuffled = true;
  } else {
    arguments.fail("takes a list, a choice or a range");
  }
  return given;
}

/// Tags are for sweepers other than the product; they are checked and dropped.
Argument tag(Arguments& arguments) {
  std::vector<Argument> given = arguments.take_positional();
  if (std::optional<Argument> sweep = arguments.take_named("sweep"))
    given.push_back(*std::move(sweep));
  arguments.finish();
  if (given.empty() || !std::holds_alternative<Sweep>(given.back())) {
    arguments.fail("needs a choice(), range() or interval() as last argument");
  }
  for (std::size_t i = 0; i + 1 < given.size(); ++i) {
    const auto* word = std::get_if<OverrideValue>(&given[i]);
    if (word == nullptr || !word->is_text()) arguments.fail("a tag is a text");
  }
  return given.back();
}

struct Function {
  const char* name;
  Argument (*run)(Arguments&);
};

constexpr Function kFunctions[] = {
    {"bool", [](Arguments& a) { return cast(a, CastTo::kBool); }},
    {"choice", choice},
    {"float", [](Arguments& a) { return cast(a, CastTo::kFloat); }},
    {"glob", glob},
    {"int", [](Arguments& a) { return cast(a, CastTo::kInt); }},
    {"interval", interval},
    {"range", range},
    {"shuffle", shuffle},
    {"sort", sort},
    {"str", [](Arguments& a) { return cast(a, CastTo::kText); }},
    {"tag", tag},
};

}  // namespace

Argument evaluate(const FunctionCall& call) {
  std::vector<std::string> names;
  for (const Function& function : kFunctions) {
    if (call.name == function.name) {
      Arguments arguments(call);
      return function.run(arguments);
    }
    names.emplace_back(function.name);
  }
  throw ConfigError("unknown_function",
                    fmt::format("{}: no function '{}'{} Functions: {}",
                                call.place,
                                call.name,
                                did_you_mean(call.name, names),
                                join(names)),
                    "quote a text that holds parentheses");
}

}  // namespace triptych::config
