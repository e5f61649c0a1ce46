// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/data/dataset.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace triptych {

/// A data set whose entries stay in memory once read, while a budget lasts.
///
/// The first read of an entry loads all of it, if all of it fits into what is left of the budget;
/// later reads are views of it. What does not fit is read region by region from the source, each
/// time. Labels take one byte a voxel when the class table is small. No lock is held while
/// something is read: threads that want the same entry wait for the one that loads it.
class CachedDataset final : public Dataset {
 public:
  CachedDataset(std::shared_ptr<const Dataset> source, std::int64_t bytes);
  ~CachedDataset() override;

  const std::vector<SampleSpec>& samples() const override { return source_->samples(); }
  std::vector<std::size_t> split(const std::string& name) const override {
    return source_->split(name);
  }
  const ClassTable& classes() const override { return source_->classes(); }
  std::vector<std::string> verify() const override { return source_->verify(); }
  Entry read(std::size_t sample, const std::string& entry, const Region& region) const override;

  /// Bytes of the budget in use.
  std::int64_t bytes_used() const;

 private:
  struct State;
  std::shared_ptr<const Dataset> source_;
  std::unique_ptr<State> state_;
};

}  // namespace triptych
