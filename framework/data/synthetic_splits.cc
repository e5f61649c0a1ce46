// SPDX-License-Identifier: Apache-2.0
#include "framework/data/synthetic_splits.h"

#include "framework/core/error.h"

#include <fmt/core.h>

namespace triptych {
namespace {

constexpr std::uint64_t kSplitStep = 1'000'000;

}  // namespace

SyntheticSplits::SyntheticSplits(std::string dataset,
                                 std::int64_t train,
                                 std::int64_t validation,
                                 std::int64_t test)
    : dataset_(std::move(dataset)) {
  add("train", train);
  add("validation", validation);
  add("test", test);
}

std::vector<std::size_t> SyntheticSplits::split(const std::string& name) const {
  const auto found = splits_.find(name);
  if (found != splits_.end()) return found->second;
  throw data_error(
      fmt::format("{}: expected split train, validation or test, got '{}'", dataset_, name));
}

void SyntheticSplits::add(const std::string& split, std::int64_t count) {
  const std::uint64_t first = kSplitStep * splits_.size();
  std::vector<std::size_t>& members = splits_[split];
  for (std::int64_t i = 0; i < count; ++i) {
    members.push_back(ids_.size());
    ids_.push_back(fmt::format("{}_{:04d}", split, i));
    stream_indices_.push_back(first + static_cast<std::uint64_t>(i));
  }
}

}  // namespace triptych
