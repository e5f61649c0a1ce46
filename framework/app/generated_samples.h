// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/data/dataset.h"
#include "framework/data/loader.h"
#include "framework/data/sampler.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace triptych::app {

/// Items of a data set that `generate` draws and transforms as training does.
struct DrawConfig {
  std::map<std::string, std::int64_t> items;
  std::map<std::string, std::string> entries;
  SamplingConfig sampling;
  std::vector<config::Node> transforms;
  std::int64_t seed = 0;

  void visit(auto& field) {
    field("items",
          items,
          "split -> number of items to draw, e.g. {train: 100, validation: 8}; {} = the samples as "
          "they are");
    field("entries",
          entries,
          "entry to write: entry of the dataset that it starts from; several may start from one");
    field("sampling", sampling, "what an item is, as in a task");
    field("transforms", transforms, "what is done to items, as in a task");
    field("seed", seed, "all items follow from it", config::AtLeast{0});
  }
  void validate(config::Problems& problems) const;
};

/// The samples that `generate` writes, made one at a time.
class GeneratedSamples {
 public:
  struct Job {
    std::string id;
    std::string split;
  };
  virtual ~GeneratedSamples() = default;
  const std::vector<Job>& jobs() const { return jobs_; }
  /// What the entries of a job's sample are.
  virtual std::vector<EntrySpec> entries(std::size_t job) const = 0;
  virtual Sample make(std::size_t job) const = 0;

 protected:
  std::vector<Job> jobs_;
};

/// The samples of the splits as the data set has them; `limit` of each, 0 = all.
std::unique_ptr<GeneratedSamples> whole_samples(std::shared_ptr<const Dataset> dataset,
                                                const std::vector<std::string>& splits,
                                                std::int64_t limit);

/// Items named <split>_<number>. Equal configurations give equal items.
std::unique_ptr<GeneratedSamples> drawn_items(std::shared_ptr<const Dataset> dataset,
                                              const DrawConfig& config);

}  // namespace triptych::app
