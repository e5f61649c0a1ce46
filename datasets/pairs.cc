// SPDX-License-Identifier: Apache-2.0
#include "framework/core/error.h"
#include "framework/data/dataset.h"

#include <map>

#include <fmt/core.h>

namespace triptych {
namespace {

/// Every ordered pair of two samples of another data set, for registration between subjects.
///
/// The entry `e` of the first sample is `fixed_e`, that of the second `moving_e`; they lie in
/// frames `fixed` and `moving` (a frame other than `world` keeps its name: `fixed_<frame>`). A
/// split holds the pairs within it, so no image is in two of them; with `against_training` the
/// images of validation and test are also paired, as the fixed ones, with those of training, as an
/// atlas would be.
class Pairs final : public Dataset {
 public:
  struct Config {
    config::Node of;
    bool against_training = false;

    void visit(auto& field) {
      field("of",
            of,
            "the data set whose samples are paired, e.g. {name: volume_files, files: ...}",
            config::Need::kRequired);
      field("against_training",
            against_training,
            "pair validation and test also with the training samples");
    }
    void validate(config::Problems& problems) const {
      if (!of.is_map()) return;
      const auto scope = problems.enter("of", of);
      DatasetRegistry::instance().check(of, problems);
    }
  };

  explicit Pairs(const Config& config) : dataset_(DatasetRegistry::instance().create(config.of)) {
    const std::vector<std::size_t> training = dataset_->split("train");
    for (const char* split : {"train", "validation", "test"}) {
      const std::vector<std::size_t> members = dataset_->split(split);
      for (const std::size_t fixed : members) {
        for (const std::size_t moving : members) add(split, fixed, moving);
        if (!config.against_training || std::string(split) == "train") continue;
        for (const std::size_t moving : training) add(split, fixed, moving);
      }
    }
  }

  const std::vector<SampleSpec>& samples() const override { return samples_; }
  const ClassTable& classes() const override { return dataset_->classes(); }
  std::vector<std::string> verify() const override { return dataset_->verify(); }

  std::vector<std::size_t> split(const std::string& name) const override {
    dataset_->split(name);  // refuses a name that is none
    const auto found = splits_.find(name);
    return found == splits_.end() ? std::vector<std::size_t>{} : found->second;
  }

  Entry read(std::size_t sample, const std::string& entry, const Region& region) const override {
    for (const Side& side : kSides) {
      if (!entry.starts_with(side.prefix)) continue;
      Entry result = dataset_->read(
          pairs_.at(sample)[side.member], entry.substr(std::string(side.prefix).size()), region);
      result.frame = frame_of(side, result.frame);
      if (!result.target_frame.empty()) result.target_frame = frame_of(side, result.target_frame);
      return result;
    }
    throw data_error(fmt::format("sample {}: no entry '{}'", samples_.at(sample).id, entry),
                     "entries of pairs begin with fixed_ or moving_");
  }

 private:
  struct Side {
    const char* prefix;
    const char* frame;
    std::size_t member;
  };
  static constexpr Side kSides[] = {{"fixed_", "fixed", 0}, {"moving_", "moving", 1}};

  static std::string frame_of(const Side& side, const std::string& frame) {
    return frame == "world" ? side.frame : fmt::format("{}_{}", side.frame, frame);
  }

  void add(const std::string& split, std::size_t fixed, std::size_t moving) {
    if (fixed == moving) return;
    const std::vector<SampleSpec>& own = dataset_->samples();
    SampleSpec pair{fmt::format("{}_from_{}", own[fixed].id, own[moving].id), {}};
    for (const Side& side : kSides) {
      for (EntrySpec entry : own[side.member == 0 ? fixed : moving].entries) {
        entry.name = side.prefix + entry.name;
        entry.frame = frame_of(side, entry.frame);
        if (!entry.target_frame.empty()) entry.target_frame = frame_of(side, entry.target_frame);
        pair.entries.push_back(std::move(entry));
      }
    }
    splits_[split].push_back(samples_.size());
    samples_.push_back(std::move(pair));
    pairs_.push_back({fixed, moving});
  }

  std::shared_ptr<Dataset> dataset_;
  std::vector<std::array<std::size_t, 2>> pairs_;  ///< fixed, moving sample of the data set
  std::vector<SampleSpec> samples_;
  std::map<std::string, std::vector<std::size_t>> splits_;
};

}  // namespace
TRIPTYCH_REGISTER_DATASET("pairs", Pairs)
}  // namespace triptych
