// SPDX-License-Identifier: Apache-2.0
#include "framework/data/splits.h"

#include "framework/core/error.h"
#include "framework/core/random.h"
#include "framework/core/suggest.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace triptych {
namespace {

constexpr const char* kNames[] = {"train", "validation", "test"};

[[noreturn]] void fail(const std::string& message, const std::string& hint) {
  throw ConfigError("schema", message, hint);
}

/// Takes the listed ids; remembers who took them, so that no sample is in two splits.
std::vector<std::size_t> take_listed(const std::string& split,
                                     const std::vector<std::string>& listed,
                                     const std::vector<std::string>& ids,
                                     std::vector<std::string>& owner) {
  std::vector<std::size_t> result;
  for (const std::string& id : listed) {
    const auto found = std::find(ids.begin(), ids.end(), id);
    if (found == ids.end()) {
      fail(fmt::format("splits.{}: no sample '{}'{}", split, id, did_you_mean(id, ids)),
           "the samples are: " + join(ids));
    }
    const auto index = static_cast<std::size_t>(found - ids.begin());
    if (!owner[index].empty()) {
      fail(fmt::format("splits.{}: sample '{}' is in '{}' already", split, id, owner[index]),
           "a sample in two splits would be tested on what was trained on");
    }
    owner[index] = split;
    result.push_back(index);
  }
  std::sort(result.begin(), result.end());
  return result;
}

std::vector<std::size_t> unowned(const std::vector<std::string>& owner) {
  std::vector<std::size_t> result;
  for (std::size_t i = 0; i < owner.size(); ++i) {
    if (owner[i].empty()) result.push_back(i);
  }
  return result;
}

/// Takes a random part of what is left, at least one sample.
std::vector<std::size_t> take_fraction(const std::string& split,
                                       double fraction,
                                       std::uint64_t seed,
                                       std::vector<std::string>& owner) {
  if (fraction <= 0.0) return {};
  std::vector<std::size_t> left = unowned(owner);
  RandomStream random(seed, {hash_name(split)});
  for (std::size_t i = left.size(); i > 1; --i) {
    std::swap(left[i - 1],
              left[static_cast<std::size_t>(random.integer(static_cast<std::int64_t>(i)))]);
  }
  const double wanted = std::round(fraction * static_cast<double>(owner.size()));
  left.resize(std::min(left.size(), static_cast<std::size_t>(std::max(1.0, wanted))));
  for (const std::size_t index : left) owner[index] = split;
  std::sort(left.begin(), left.end());
  return left;
}

std::vector<std::size_t> take_fold(const SplitConfig& config, std::vector<std::string>& owner) {
  std::vector<std::size_t> left = unowned(owner);
  if (static_cast<std::size_t>(config.folds) > left.size()) {
    fail(fmt::format("splits.folds: expected at most as many folds as samples that are not for "
                     "testing, {}, got {}",
                     left.size(),
                     config.folds),
         "lower splits.folds");
  }
  RandomStream random(static_cast<std::uint64_t>(config.seed), {hash_name("folds")});
  for (std::size_t i = left.size(); i > 1; --i) {
    std::swap(left[i - 1],
              left[static_cast<std::size_t>(random.integer(static_cast<std::int64_t>(i)))]);
  }
  std::vector<std::size_t> result;
  for (auto i = static_cast<std::size_t>(config.fold); i < left.size();
       i += static_cast<std::size_t>(config.folds)) {
    owner[left[i]] = "validation";
    result.push_back(left[i]);
  }
  std::sort(result.begin(), result.end());
  return result;
}

Splits stated_splits(const std::vector<std::string>& ids, const std::vector<std::string>& stated) {
  Splits splits;
  for (const char* name : kNames) splits[name];
  for (std::size_t i = 0; i < stated.size(); ++i) {
    if (stated[i].empty()) continue;  // a sample that is listed but not used
    const auto found = splits.find(stated[i]);
    if (found == splits.end()) {
      fail(fmt::format("manifest: sample '{}': expected split train, validation or test, got '{}'",
                       ids[i],
                       stated[i]),
           "leave the cell empty to use the sample nowhere");
    }
    found->second.push_back(i);
  }
  return splits;
}

}  // namespace

void SplitConfig::validate(config::Problems& problems) const {
  const bool listed = !train.empty() || !validation.empty();
  if (folds == 1) problems.add("folds", "must be 0 or at least 2");
  if (folds > 0 && fold >= folds) problems.add("fold", "must be below `folds`");
  if (folds > 0 && (listed || validation_fraction > 0.0)) {
    problems.add(
        "folds",
        "contradicts train, validation and validation_fraction: the fold is the validation split");
  }
  if (validation_fraction > 0.0 && listed)
    problems.add("validation_fraction", "contradicts the listed train or validation samples");
  if (test_fraction > 0.0 && (listed || !test.empty()))
    problems.add("test_fraction", "contradicts the listed samples");
  if (validation_fraction + test_fraction > 1.0)
    problems.add("test_fraction", "and validation_fraction must not exceed 1 together");
}

Splits split_samples(const std::vector<std::string>& ids,
                     const std::vector<std::string>& stated,
                     const SplitConfig& config) {
  const bool listed = !config.train.empty() || !config.validation.empty() || !config.test.empty();
  const bool any_stated = std::any_of(
      stated.begin(), stated.end(), [](const std::string& split) { return !split.empty(); });
  if (any_stated) {
    if (listed || config.folds > 0 || config.validation_fraction > 0.0 ||
        config.test_fraction > 0.0) {
      fail("splits: the manifest states splits, and the configuration does too",
           "remove the manifest's split column, or `splits`");
    }
    return stated_splits(ids, stated);
  }
  std::vector<std::string> owner(ids.size());
  Splits splits;
  const auto seed = static_cast<std::uint64_t>(config.seed);
  splits["test"] = config.test.empty() ? take_fraction("test", config.test_fraction, seed, owner)
                                       : take_listed("test", config.test, ids, owner);
  if (config.folds > 0) {
    splits["validation"] = take_fold(config, owner);
  } else if (!config.validation.empty()) {
    splits["validation"] = take_listed("validation", config.validation, ids, owner);
  } else {
    splits["validation"] = take_fraction("validation", config.validation_fraction, seed, owner);
  }
  splits["train"] =
      config.train.empty() ? unowned(owner) : take_listed("train", config.train, ids, owner);
  return splits;
}

}  // namespace triptych
