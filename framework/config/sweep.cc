// SPDX-License-Identifier: Apache-2.0
#include "framework/config/sweep.h"

#include "framework/config/decimal.h"
#include "framework/core/error.h"
#include "framework/core/suggest.h"

#include <algorithm>
#include <cmath>

#include <fnmatch.h>

namespace triptych::config {
namespace {

constexpr std::size_t kMostJobs = 100'000;

[[noreturn]] void not_enumerable(const Override& word, const std::string& what) {
  throw ConfigError("sweep_not_enumerable",
                    fmt::format("{}: {}", word.place(), what),
                    "list the values: key=a,b,c or key=range(start,stop,step)");
}

std::vector<std::string> range_values(const Override& word, const Sweep& sweep) {
  std::vector<std::string> values;
  const auto add = [&](std::string value) {
    if (values.size() == kMostJobs)
      not_enumerable(word, fmt::format("the range has more than {} values", kMostJobs));
    values.push_back(std::move(value));
  };
  if (sweep.start.is_int() && sweep.stop.is_int() && sweep.step.is_int()) {
    const std::int64_t step = sweep.step.as_int();
    const std::int64_t stop = sweep.stop.as_int();
    if (step == 0) not_enumerable(word, "the step of a range cannot be 0");
    for (std::int64_t value = sweep.start.as_int(); step > 0 ? value < stop : value > stop;) {
      add(std::to_string(value));
      if (__builtin_add_overflow(value, step, &value)) break;
    }
    return values;
  }
  for (const Node* number : {&sweep.start, &sweep.stop, &sweep.step}) {
    if (!std::isfinite(number->as_double())) not_enumerable(word, "a range needs finite numbers");
  }
  if (sweep.step.as_double() == 0) not_enumerable(word, "the step of a range cannot be 0");
  const Decimal stop(sweep.stop.as_double());
  const Decimal step(sweep.step.as_double());
  const bool up = sweep.step.as_double() > 0;
  for (Decimal value(sweep.start.as_double()); up ? value < stop : stop < value;
       value = value + step) {
    add(python_float(value.to_double()));
  }
  return values;
}

bool matches(const std::string& name, const std::vector<std::string>& patterns) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
    return fnmatch(pattern.c_str(), name.c_str(), FNM_NOESCAPE) == 0;
  });
}

std::vector<std::string> glob_values(const Override& word,
                                     const Sweep& sweep,
                                     const ConfigRepository& repository) {
  if (!repository.has_group(word.key)) {
    not_enumerable(word,
                   fmt::format("glob() selects options of a group, and '{}' is none; groups: {}",
                               word.key,
                               join(repository.groups())));
  }
  std::vector<std::string> values;
  for (const std::string& name : repository.options(word.key)) {
    if (matches(name, sweep.include) && !matches(name, sweep.exclude)) values.push_back(name);
  }
  return values;
}

/// The order of the values never changes from run to run.
void shuffle_values(std::vector<std::string>& values) {
  std::uint64_t state = 0x2545f4914f6cdd1du;
  for (std::size_t i = values.size(); i > 1; --i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    std::swap(values[i - 1], values[(state >> 33) % i]);
  }
}

struct Axis {
  std::string key;
  std::vector<std::string> words;
};

Axis axis_of(const Override& word, const ConfigRepository& repository) {
  Axis axis{word.key_text(), {}};
  if (!word.is_sweep()) {
    const bool bare =
        word.type == Override::Type::kDelete && word.word.find('=') == std::string::npos;
    axis.words.push_back(bare ? axis.key : axis.key + "=" + word.element().text());
    return axis;
  }
  if (word.concerns_hydra()) {
    throw ConfigError(
        "sweep_not_enumerable",
        fmt::format("{}: the hydra settings of a sweep are the same for all jobs", word.place()));
  }
  for (const std::string& value : sweep_values(word, repository))
    axis.words.push_back(axis.key + "=" + value);
  return axis;
}

}  // namespace

std::vector<std::string> sweep_values(const Override& override_word,
                                      const ConfigRepository& repository) {
  const Sweep& sweep = override_word.sweep();
  std::vector<std::string> values;
  switch (sweep.kind) {
    case Sweep::Kind::kInterval:
      not_enumerable(override_word, "an interval has no finite list of values");
    case Sweep::Kind::kRange:
      values = range_values(override_word, sweep);
      break;
    case Sweep::Kind::kGlob:
      return glob_values(override_word, sweep, repository);
    case Sweep::Kind::kChoice:
      for (const OverrideValue& choice : sweep.choices) values.push_back(choice.text());
      break;
  }
  if (sweep.shuffled) shuffle_values(values);
  return values;
}

std::vector<std::vector<std::string>> expand_sweep(const std::vector<Override>& overrides,
                                                   const ConfigRepository& repository) {
  std::vector<Axis> axes;
  for (const Override& override_word : overrides) {
    Axis axis = axis_of(override_word, repository);
    const auto same = std::find_if(
        axes.begin(), axes.end(), [&](const Axis& other) { return other.key == axis.key; });
    if (same == axes.end()) {
      axes.push_back(std::move(axis));
    } else {
      *same = std::move(axis);
    }
  }
  std::size_t count = 1;
  for (const Axis& axis : axes) {
    count *= axis.words.size();
    if (count > kMostJobs) {
      throw ConfigError("sweep_not_enumerable",
                        fmt::format("command line: the sweep has more than {} jobs", kMostJobs));
    }
  }
  std::vector<std::vector<std::string>> jobs(count);
  for (std::size_t job = 0; job < count; ++job) {
    std::size_t rest = count;
    for (const Axis& axis : axes) {
      rest /= axis.words.size();
      jobs[job].push_back(axis.words[job / rest % axis.words.size()]);
    }
  }
  return jobs;
}

}  // namespace triptych::config
